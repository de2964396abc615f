"""The commands' own requests to a ClawLog backend over HTTP: to show tasks, and to do what a person wants done with them.

Everything else goes through the daemon. The routes are those of the HTTP contract's plain profile, so any ClawLog server
works.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from clawlog import exits, locations
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError
from clawlog.cli.render.backend_views import BackendEvent, BackendTask, Receipts
from clawlog.cli.render.texts import cleaned
from clawlog.cli.sources import configuration
from clawlog.protocol.addresses import proxy_of
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.summary import any_line

T = TypeVar("T")

TIMEOUT_S = 10.0
_MAX_REPLY_BYTES = 16 * 1024 * 1024
_MAX_REASON_CHARS = 300
DEFAULT_LIMIT = 50
"""How many tasks are asked for at once."""


class Backend:
    """One ClawLog backend.

    Args:
        base_url: Its address.
        env: The environment variables that say where the token is.
        timeout_s: How long to wait for an answer.
    """

    def __init__(self, base_url: str, env: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        settings = configuration.load(env)
        self._token = configuration.token(settings, self.base_url, env)
        # The daemon's proxy and certificates, so that both reach the same server. No redirects: they would send the token
        # elsewhere.
        try:
            proxy = proxy_of(self.base_url, env)
        except ValueError:
            proxy = None  # no address at all, as the first request says
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _Https(_tls(settings)), _NoRedirects())

    def task(self, task_id: str) -> BackendTask:
        """Returns one task with its newest events.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: It does not know the task, or declined.
        """
        return self.read_task(self.task_answer(task_id))

    def task_answer(self, task_id: str) -> Any:
        """Returns the backend's raw answer for ``task``. Raises as that does."""
        return self._ask("GET", f"/api/tasks/{quote(task_id, safe='')}")

    def read_task(self, answer: Any) -> BackendTask:
        """Reads such an answer. Raises ``BackendUnreachable`` where its shape is unknown."""
        return self._read(BackendTask.read, answer)

    def tasks(self, **query: str | int | None) -> tuple[BackendTask, ...]:
        """Returns its newest tasks: all, or those that the list's query describes. Raises as ``task`` does."""
        return self.read_tasks(self.tasks_answer(**query))

    def tasks_answer(self, **query: str | int | None) -> Any:
        """Returns the backend's raw answer for ``tasks``. Raises as ``task`` does."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"/api/tasks?{urlencode({'limit': DEFAULT_LIMIT, **given})}")

    def read_tasks(self, answer: Any) -> tuple[BackendTask, ...]:
        """Reads such an answer. Raises ``BackendUnreachable`` where its shape is unknown."""
        return self._read(lambda view: tuple(BackendTask.read(each) for each in view["tasks"]), answer)

    def events_before(
        self, task_id: str, seq: int, *, limit: int, kinds: Sequence[str] = ()
    ) -> tuple[tuple[BackendEvent, ...], bool]:
        """Returns the newest events of a task before one, the newest last, and whether there are older ones.

        Args:
            task_id: The task.
            seq: The number of that one.
            limit: At most so many.
            kinds: Only those of these kinds; all without any.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: It does not know the task, or has no such route.
        """
        query = urlencode({"before": seq, "limit": limit, "kind": kinds}, doseq=True)
        page = self._ask("GET", f"/api/tasks/{quote(task_id, safe='')}/events?{query}")
        events = self._read(lambda view: tuple(BackendEvent.read(each) for each in view["events"]), page)
        return events, page.get("next_before") is not None

    def close(self, task_id: str, status: str, *, summary: str | None = None, by: str | None = None) -> None:
        """Ends a task whose agent is gone.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or its agent is alive.
        """
        self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/close", _given(status=status, summary=summary, by=by))

    def acknowledge(self, task_id: str, *, by: str | None = None) -> None:
        """Says that a person has seen that a task failed or was lost.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or needs something else than to be seen.
        """
        self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/acknowledge", _given(by=by))

    def page(self, task_id: str) -> str | None:
        """Returns the address of a task's page; None where the backend does not say that it has one. Raises as ``task``."""
        try:
            document = self._ask("GET", "/openapi.json")
            template = document["x-clawlog"]["task_page"]
        except (BackendRefused, KeyError, TypeError):
            return None
        return f"{self.base_url}{str(template).replace('{task_id}', quote(task_id, safe=''))}"

    def request_stop(self, task_id: str, *, reason: str | None = None, requested_by: str | None = None) -> Receipts:
        """Requests a soft stop; while one is open, returns that one.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or has ended.
        """
        body = _given(mode="soft_stop", reason=reason, requested_by=requested_by)
        answer = self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/interrupt", body)
        return self._read(Receipts.read, answer)

    def date(self) -> str | None:
        """Returns the backend's time in HTTP's format, if it sends one. Raises as ``task`` does."""
        return self._exchange("GET", "/api/tasks?limit=1").date

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self._exchange(method, path, body).content

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None = None) -> _Answer:
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers |= {"Content-Type": "application/json", "Idempotency-Key": new_uuid()}
        try:
            request = urllib.request.Request(self.base_url + path, data=data, headers=headers, method=method)  # noqa: S310 - http(s): see below
        except ValueError:
            raise BackendUnreachable(f"{self.base_url!r} is not an address") from None
        if request.type not in ("http", "https"):
            raise BackendUnreachable(f"{self.base_url!r} is not an http:// or https:// address")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                content, date = answer.read(_MAX_REPLY_BYTES), answer.headers.get("Date")
        except urllib.error.HTTPError as error:
            with error:
                raise BackendRefused(f"{self.base_url}: {_explain(error)}", error.code, error.headers.get("Date")) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise BackendUnreachable(
                    f"the certificate of {self.base_url} is not trusted: {reason.verify_message}; "
                    "name its authority in http.ca_file"
                ) from None
            reason = any_line(reason, _MAX_REASON_CHARS)
            raise BackendUnreachable(f"{self.base_url} does not answer: {reason}; is the backend running?") from None
        except (http.client.HTTPException, ValueError) as error:
            reason = any_line(f"{type(error).__name__}: {error}", _MAX_REASON_CHARS)
            raise BackendUnreachable(f"{self.base_url} does not answer in HTTP ({reason}): is it a ClawLog backend?") from None
        try:
            return _Answer(_decode(content), date)
        except (ValueError, RecursionError):
            raise BackendUnreachable(f"{self.base_url} does not answer with JSON: is it a ClawLog backend?") from None

    def _read(self, read: Callable[[Any], T], view: Any) -> T:
        try:
            return read(view)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = any_line(repr(error), _MAX_REASON_CHARS)
            message = f"{self.base_url} answers in an unknown shape ({reason}): is it a ClawLog backend?"
            raise BackendUnreachable(message) from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A successful answer: its JSON, and the server's date."""

    content: Any
    date: str | None


def _given(**members: object) -> Mapping[str, object]:
    """Leaves out what was not given."""
    return {name: value for name, value in members.items() if value is not None}


def _tls(settings: configuration.Configuration) -> ssl.SSLContext | None:
    """How certificates are proved and shown; None where no setting says anything of it.

    Raises:
        CommandError: A file does not hold what its setting says.
    """
    if settings.ca_file is None and settings.client_cert_file is None:
        return None
    context = ssl.create_default_context()
    key, path = "http.ca_file", settings.ca_file
    try:
        if path is not None:
            locations.read_file(path)  # which does not wait for a pipe's writer
            context.load_verify_locations(cafile=path)
        key, path = "http.client_cert_file", settings.client_cert_file
        if path is not None:
            locations.read_file(path)
            context.load_cert_chain(path)
    except (OSError, ValueError) as error:
        raise CommandError(f"{key}: {path} holds no certificate: {error}", exits.USAGE) from None
    return context


class _Https(urllib.request.HTTPSHandler):
    """Opens ``https://`` addresses. Only then are the system's authorities read: that takes twenty milliseconds."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # HTTPSHandler's own reads them, from Python 3.12 on
        self._given = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPSConnection, req, context=self._given or ssl.create_default_context())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Treats a redirect as an error."""


def _explain(error: urllib.error.HTTPError) -> str:
    """Returns a problem document's text (RFC 9457), or the plain status."""
    try:
        problem = _decode(error.read(64 * 1024))
        text = any_line(problem.get("detail") or problem.get("title") or "", _MAX_REASON_CHARS)
    except (ValueError, AttributeError, OSError, RecursionError, http.client.HTTPException):
        text = ""
    return f"{text} (HTTP {error.code})" if text else f"HTTP {error.code} {any_line(error.reason, _MAX_REASON_CHARS)}".rstrip()


def _decode(content: bytes) -> Any:
    """Returns a reply's JSON, cleaned; bytes that are no text are replaced.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    return cleaned(json.loads(content.decode("utf-8-sig", "replace")))

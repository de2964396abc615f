"""What this command asks of a ClawLog backend itself, over HTTP: to show a task, and to pass on a person's wish to stop it.

All else goes through the daemon. The routes are those of the HTTP contract's plain profile, so any ClawLog server will do; what
an answer may leave out is optional here.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from clawlog.cli.errors import BackendRefused, BackendUnreachable
from clawlog.cli.render.backend_views import BackendTask, Receipts
from clawlog.cli.sources import configuration
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.summary import one_line

T = TypeVar("T")

TIMEOUT_S = 10.0
_MAX_REPLY_BYTES = 16 * 1024 * 1024


class Backend:
    """One ClawLog backend.

    Args:
        base_url: Its address.
        env: Where the token is found by.
        timeout_s: For how long an answer is waited for.
    """

    def __init__(self, base_url: str, env: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._token = configuration.token(configuration.load(env), self.base_url, env)
        # No proxies, as the daemon: what it reaches is what is asked here. No redirects: they would take the token elsewhere.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())

    def task(self, task_id: str) -> BackendTask:
        """One task with its newest events.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: It does not know the task, or declined.
        """
        return self.read_task(self.task_answer(task_id))

    def task_answer(self, task_id: str) -> Any:
        """The answer to ``task`` as it came. Raises as that does."""
        return self._ask("GET", f"/api/tasks/{quote(task_id, safe='')}")

    def read_task(self, answer: Any) -> BackendTask:
        """Reads such an answer. Raises ``BackendUnreachable`` where it is none."""
        return self._read(BackendTask.read, answer)

    def tasks(self, text: str = "", *, limit: int = 50) -> tuple[BackendTask, ...]:
        """Its newest tasks: all, or those with ``text`` in their title, summary or id. Raises as ``task`` does."""
        query = urlencode({"limit": limit, **({"q": text} if text else {})})
        page = self._ask("GET", f"/api/tasks?{query}")
        return self._read(lambda view: tuple(BackendTask.read(each) for each in view["tasks"]), page)

    def request_stop(self, task_id: str, *, reason: str | None = None, requested_by: str | None = None) -> Receipts:
        """Asks for a soft stop; while one is open, that one is returned.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or has ended.
        """
        body = {"mode": "soft_stop", "reason": reason, "requested_by": requested_by}
        path = f"/api/tasks/{quote(task_id, safe='')}/interrupt"
        answer = self._ask("POST", path, {name: value for name, value in body.items() if value is not None})
        return self._read(Receipts.read, answer)

    def date(self) -> str | None:
        """What time it is there, as HTTP writes it; None where it does not say. Raises as ``task`` does."""
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
        request = urllib.request.Request(self.base_url + path, data=data, headers=headers, method=method)  # noqa: S310 - http(s): see below
        if request.type not in ("http", "https"):
            raise BackendUnreachable(f"{self.base_url!r} is not an http:// or https:// address")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return _Answer(json.loads(answer.read(_MAX_REPLY_BYTES)), answer.headers.get("Date"))
        except urllib.error.HTTPError as error:
            with error:
                raise BackendRefused(f"{self.base_url}: {_explain(error)}", error.code, error.headers.get("Date")) from None
        except json.JSONDecodeError:
            raise BackendUnreachable(f"{self.base_url} does not answer with JSON: is it a ClawLog backend?") from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise BackendUnreachable(f"{self.base_url} does not answer: {reason}; is the backend running?") from None

    def _read(self, read: Callable[[Any], T], view: Any) -> T:
        try:
            return read(view)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BackendUnreachable(
                f"{self.base_url} answers in an unknown shape ({error!r}): is it a ClawLog backend?"
            ) from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A good answer: its JSON, and the server's date."""

    content: Any
    date: str | None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Leaves a redirect as the error that it is to this program."""


def _explain(error: urllib.error.HTTPError) -> str:
    """What a problem document (RFC 9457) says, or the plain status."""
    try:
        problem = json.loads(error.read(64 * 1024))
        text = problem.get("detail") or problem.get("title")
    except (ValueError, AttributeError, OSError):
        text = None
    return f"{one_line(str(text))} (HTTP {error.code})" if text else f"HTTP {error.code} {error.reason}"

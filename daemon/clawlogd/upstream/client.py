"""The only code that speaks HTTP to a backend: one request, and what its answer means.

A contract says what is sent where (``standard``, ``foreign``), ``routes`` what a batch is; ``answers`` reads what comes back.
Redirects are never followed to another origin (a token and a body would go elsewhere), and to another path only for a server
with a contract of its own. Replies are capped, and every request has a total timeout.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp

from clawlogd import __version__
from clawlogd.clock import Clock
from clawlogd.model import Beat, Event
from clawlogd.settings import LiveSettings
from clawlogd.text import clean_text
from clawlogd.upstream import answers, controls, routes
from clawlogd.upstream.answers import Answer, Outcome, Verdict
from clawlogd.upstream.contracts.contract import TokenHeader
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.controls import Control, Unreadable
from clawlogd.upstream.foreign import ForeignServer
from clawlogd.upstream.network import Misconfigured, Network, may_have_arrived, reason_of
from clawlogd.upstream.routes import HttpRequest
from clawlogd.upstream.server import Server
from clawlogd.upstream.standard import StandardServer
from clawlogd.upstream.tokens import TokenSource

_MAX_HEADER_BYTES = 64 * 1024  # a single sign-on's cookie takes 9 kB; what is longer is no backend's
_MAX_HEADERS = 1000
_MAX_DOCUMENT_BYTES = 4 << 20  # that of a server with 40 routes takes 100 kB
_DOCUMENT_S = 10.0
_MAX_ETAG_CHARS = 200
_NOT_MODIFIED = 304
_MOVED = frozenset({307, 308})  # those that keep method and body


class Upstream:
    """One backend, over one connection pool.

    Args:
        base_url: Its address, without a slash at the end.
        tokens: Where its token comes from.
        settings: Bounds of time and size, and how far a ``Retry-After`` is believed.
        clock: For a ``Retry-After`` that is a date.
        network: The way there.
        contract: How the server wants to be spoken to; None where that is as the standard contract says.
        is_known: Whether that is known, or about to be tried: else nothing is asked.
    """

    def __init__(
        self,
        *,
        base_url: str,
        tokens: TokenSource,
        settings: LiveSettings,
        clock: Clock,
        network: Network | None = None,
        contract: Callable[[], Interpreter | None] = lambda: None,
        is_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self.base_url = base_url
        self._tokens = tokens
        self._settings = settings
        self._clock = clock
        self._network = network or Network({}, settings)
        self._contract = contract
        self._is_known = is_known
        self._taught: dict[tuple[str, str], bool] = {}  # which routes of a foreign server end with a slash, by method and route
        self._session: aiohttp.ClientSession | None = None
        self._certificates: tuple[object, ...] = ()

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ── Batch profile ──────────────────────────────────────────────────────────────────────────────────────────────

    async def send_batch(self, records: Sequence[bytes]) -> tuple[Answer, list[Verdict]]:
        """Sends events and beats as one batch.

        Args:
            records: Their JSON objects, in order.

        Returns:
            The answer, and when it is a delivery one verdict for each record.
        """
        request = routes.batch(records)
        return answers.read_batch(str(request), await self._send(request), len(records))

    async def poll_controls(
        self, task_ids: Sequence[str], cursor: str | None, wait_s: float
    ) -> tuple[Answer, dict[str, Control | Unreadable]]:
        """Asks what changed about many tasks' control states; the server may hold its answer until something does.

        Args:
            task_ids: The tasks, by the backend's ids.
            cursor: The last answer's; None for the states as they are now.
            wait_s: For how long the answer may be held.

        Returns:
            The answer (its ``body`` is the next cursor), and what changed, by the backend's task ids.
        """
        if (unasked := self._unasked()) is not None:
            return unasked, {}
        if self._contract() is not None:
            return Answer(Outcome.NO_ROUTE, "the contract has no route for many tasks' control states"), {}
        request = routes.poll(task_ids, cursor, wait_s)
        return controls.read_poll(str(request), await self._send(request, wait_s=wait_s))

    # ── Plain profile, and other contracts ─────────────────────────────────────────────────────────────────────────

    async def send_event(self, event: Event, remote_task_id: str, remote_step_id: str | None) -> Answer:
        """Sends one event by its own route. A kind that has none in the plain profile counts as delivered."""
        return await self._server().send_event(event, remote_task_id, remote_step_id)

    @property
    def passes_over_repeats(self) -> bool:
        """Whether the backend knows a creation that it has had already, as the standard contract says."""
        return self._contract() is None

    async def find_created(self, event: Event, is_taken: Callable[[str], bool]) -> Answer:
        """Looks for the task that a creation made whose answer was lost, where the backend does not know it by its key.

        Args:
            event: The creation.
            is_taken: Whether a task of the backend's is known to be another one.

        Returns:
            A delivery: its body is the answer to the creation, None where there is no such task. Or why that is not known.
        """
        return await self._server().find_created(event, is_taken, self._clock.wall_ms())

    @property
    def hears_with_beats(self) -> bool:
        """Whether the control state comes with the answers to heartbeats, and cannot be asked for."""
        interpreter = self._contract()
        return interpreter is not None and interpreter.hears_with_beats

    async def send_heartbeat(self, beat: Beat, remote_task_id: str) -> Answer:
        """Sends one heartbeat by its own route. The body of a delivery is the control state, where that comes with it."""
        return await self._server().send_heartbeat(beat, remote_task_id)

    async def get_control(self, remote_task_id: str, timeout_s: float | None = None) -> tuple[Answer, Control | None]:
        """Asks for one task's control state."""
        if (unasked := self._unasked()) is not None:
            return unasked, None
        return await self._server(timeout_s).get_control(remote_task_id)

    async def get_task(self, remote_task_id: str) -> Answer:
        """Asks whether the backend has a task."""
        return self._unasked() or await self._server().get_task(remote_task_id)

    async def list_tasks(self) -> Answer:
        """Asks which tasks the backend has; one is enough."""
        return self._unasked() or await self._server().list_tasks()

    async def get_document(self, path: str, *, from_origin: bool = False, etag: str | None = None) -> Answer:
        """Asks for an OpenAPI document, within narrower bounds: it is no more than a help.

        Args:
            path: Where it may be.
            from_origin: Whether the path begins at the server's root, and not at the ``base_url``.
            etag: The version that is known already.

        Returns:
            The answer; a delivery with the status 304 where the document is the one that is known.
        """
        request = HttpRequest("GET", path, from_origin=from_origin)
        answer = await self._send(request, timeout_s=_DOCUMENT_S, max_bytes=_MAX_DOCUMENT_BYTES, etag=etag or "")
        if etag and answer.status == _NOT_MODIFIED:
            return Answer(Outcome.DELIVERED, status=_NOT_MODIFIED, etag=etag)
        return answer

    def _unasked(self) -> Answer | None:
        """Why nothing is asked: it is not known how; None where it is."""
        return None if self._is_known() else Answer(Outcome.TRANSIENT, "how to speak to it is not known: nothing was asked")

    def _server(self, timeout_s: float | None = None) -> Server:
        """The server as its contract has it."""

        def send(request: HttpRequest) -> Awaitable[Answer]:
            return self._send(request, timeout_s=timeout_s)

        interpreter = self._contract()
        return StandardServer(send) if interpreter is None else ForeignServer(interpreter, send)

    # ── One request ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send(
        self,
        request: HttpRequest,
        *,
        wait_s: float = 0.0,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        etag: str | None = None,
    ) -> Answer:
        headers = _headers(request, etag)
        try:
            token = self._tokens.read(self.base_url)
        except (OSError, ValueError) as error:
            return Answer(Outcome.UNAUTHORIZED, f"the token cannot be read: {error}")
        if token is not None:
            headers.update(self._token_header(token))
        bounds = self._settings.now.http
        max_bytes = min(max_bytes or bounds.max_reply_bytes, bounds.max_reply_bytes)
        timeout = aiohttp.ClientTimeout(
            total=timeout_s or bounds.total_timeout_s + wait_s, sock_connect=bounds.connect_timeout_s
        )
        try:
            response, content = await self._exchange(request, self._address(request), headers, timeout, max_bytes)
            if (address := self._moved(request, response)) is not None:
                response, content = await self._exchange(request, address, headers, timeout, max_bytes)
        except TimeoutError as error:
            detail = f"{request}: no answer within {timeout.total:g} s"
            return Answer(Outcome.TRANSIENT, detail, is_lost=may_have_arrived(error))
        except Misconfigured as error:
            return Answer(Outcome.TRANSIENT, str(error))
        except Exception as error:  # noqa: BLE001 - whatever the library makes of a server's bytes is that server's fault
            detail = f"{request}: {clean_text(reason_of(error), 300)}"
            return Answer(Outcome.TRANSIENT, detail, is_lost=may_have_arrived(error))
        if content is None:
            detail = f"{request}: the reply is over {max_bytes} bytes"
            return Answer(Outcome.TRANSIENT, detail, response.status)
        if token is not None:
            # A server that repeats what it was sent must not bring the token into the log, the outbox or a status.
            content = content.replace(token.encode(), b"[token]")
        retry_after_s = answers.read_retry_after(
            response.headers.get("Retry-After"),
            now_ms=self._clock.wall_ms(),
            max_s=self._settings.now.retry.max_retry_after_s,
        )
        answer = answers.read_reply(str(request), response.status, content, retry_after_s)
        if etag is not None:
            version = response.headers.get("ETag")
            answer = replace(answer, etag=version if version and len(version) <= _MAX_ETAG_CHARS else None)
        return replace(answer, with_token=True) if token is not None else answer

    async def _exchange(
        self, request: HttpRequest, address: str, headers: dict[str, str], limits: aiohttp.ClientTimeout, max_bytes: int
    ) -> tuple[aiohttp.ClientResponse, bytes | None]:
        session = await self._open_session()
        async with session.request(
            request.method,
            address,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            timeout=limits,
            proxy=self._network.proxy(self.base_url),
        ) as response:
            return response, await self._read(response, max_bytes)

    def _moved(self, request: HttpRequest, response: aiohttp.ClientResponse) -> str | None:
        """Where a foreign server wants a request to go instead: there only what belongs to the same origin is sent."""
        if not request.route or response.status not in _MOVED or not (location := response.headers.get("Location")):
            return None
        asked = str(response.url)
        try:
            address = urljoin(asked, location)
            here, there = urlsplit(asked), urlsplit(address)
            if (here.scheme, here.hostname, here.port) != (there.scheme, there.hostname, there.port):
                return None
        except ValueError:
            return None
        if here.path != there.path and here.path.rstrip("/") == there.path.rstrip("/"):
            self._taught[request.method, request.route] = there.path.endswith("/")
        return address

    def _token_header(self, token: str) -> dict[str, str]:
        interpreter = self._contract()
        how = interpreter.contract.token if interpreter is not None else TokenHeader()
        return {how.header: f"{how.scheme} {token}".lstrip()}

    def _address(self, request: HttpRequest) -> str:
        parts = urlsplit(self.base_url)
        root = f"{parts.scheme}://{parts.netloc}" if request.from_origin else self.base_url
        query = f"?{urlencode(request.query)}" if request.query else ""
        path, ends = request.path, self._taught.get((request.method, request.route)) if request.route else None
        if ends is not None:
            path = path.rstrip("/") + "/" * ends
        return root + path + query

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
        """The body; None for one over the bound, which is not read on."""
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > max_bytes:
                response.close()
                return None
        return bytes(content)

    async def _open_session(self) -> aiohttp.ClientSession:
        certificates = self._network.certificates()
        if self._session is not None and certificates != self._certificates:
            await self.close()
        if self._session is None:
            self._certificates = certificates
            self._session = aiohttp.ClientSession(
                connector=self._network.connector(self.base_url),
                headers={"User-Agent": f"clawlogd/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
                max_headers=_MAX_HEADERS,
            )
        return self._session


def _headers(request: HttpRequest, etag: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.key is not None:
        headers["Idempotency-Key"] = request.key
    if etag:
        headers["If-None-Match"] = etag
    return headers

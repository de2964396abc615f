"""One request to a backend over a real socket, and what its answer means for what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from clawlogd.model import Event, EventKind
from clawlogd.settings import Http, LiveSettings, Settings
from clawlogd.upstream.answers import Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.controls import Control
from clawlogd.upstream.tokens import TokenSource
from support.sidecar import SteppedClock

Answering = Callable[[web.Response], None]
RECORD = b'{"event_id":"e"}'


class Backend:
    """A server that answers every request as it was told to."""

    def __init__(self) -> None:
        self.answer: Callable[[], web.StreamResponse | Awaitable[web.StreamResponse]] = lambda: web.json_response({})
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        answer = self.answer()
        return await answer if not isinstance(answer, web.StreamResponse) else answer


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", backend.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield backend
    await runner.cleanup()


@pytest.fixture
async def upstream(backend: Backend, clock: SteppedClock) -> AsyncIterator[Upstream]:
    settings = LiveSettings(Settings(http=Http(max_reply_bytes=2000, total_timeout_s=5.0)))
    tokens = TokenSource(env={}, settings=settings)
    upstream = Upstream(base_url=backend.url, tokens=tokens, settings=settings, clock=clock)
    yield upstream
    await upstream.close()


def status_event() -> Event:
    return Event("e", "t", EventKind.TASK_STATUS, "2026-02-28T08:00:00.000Z", status="done")


@pytest.mark.parametrize(
    ("status", "batch", "plain"),
    [
        (200, Outcome.TRANSIENT, Outcome.DELIVERED),  # a batch wants a result for each event
        (201, Outcome.TRANSIENT, Outcome.DELIVERED),
        (307, Outcome.TRANSIENT, Outcome.TRANSIENT),
        (400, Outcome.REFUSED, Outcome.REFUSED),
        (401, Outcome.UNAUTHORIZED, Outcome.UNAUTHORIZED),
        (403, Outcome.FORBIDDEN, Outcome.FORBIDDEN),
        (404, Outcome.NO_ROUTE, Outcome.REFUSED),
        (405, Outcome.NO_ROUTE, Outcome.REFUSED),
        (408, Outcome.TRANSIENT, Outcome.TRANSIENT),
        (409, Outcome.REFUSED, Outcome.DELIVERED),
        (413, Outcome.REFUSED, Outcome.REFUSED),
        (422, Outcome.REFUSED, Outcome.REFUSED),
        (425, Outcome.TRANSIENT, Outcome.TRANSIENT),
        (429, Outcome.TRANSIENT, Outcome.TRANSIENT),
        (500, Outcome.TRANSIENT, Outcome.TRANSIENT),
        (501, Outcome.NO_ROUTE, Outcome.TRANSIENT),
        (503, Outcome.TRANSIENT, Outcome.TRANSIENT),
    ],
)
async def test_each_status_has_its_meaning(
    backend: Backend, upstream: Upstream, status: int, batch: Outcome, plain: Outcome
) -> None:
    backend.answer = lambda: web.json_response({}, status=status)
    answer, verdicts = await upstream.send_batch([RECORD])
    assert (answer.outcome, answer.status, verdicts) == (batch, status, [])
    answer = await upstream.send_event(status_event(), "t", None)
    assert (answer.outcome, answer.status) == (plain, status)


async def test_a_batch_is_read_event_by_event(backend: Backend, upstream: Upstream) -> None:
    results = [
        {"event_id": "1", "status": "ok"},
        {"event_id": "2", "status": "duplicate"},
        {"event_id": "3", "status": "rejected", "code": "unknown_step", "detail": "no"},
    ]
    backend.answer = lambda: web.json_response({"results": results})
    answer, verdicts = await upstream.send_batch([RECORD] * 3)
    assert answer.outcome is Outcome.DELIVERED
    assert [verdict.accepted for verdict in verdicts] == [True, True, False]
    assert (verdicts[2].code, verdicts[2].detail) == ("unknown_step", "no")


async def test_a_reply_over_the_bound_is_not_read_on(backend: Backend, upstream: Upstream) -> None:
    backend.answer = lambda: web.Response(text="x" * 3000)
    answer, _ = await upstream.send_batch([RECORD])
    assert answer.outcome is Outcome.TRANSIENT
    assert "over 2000 bytes" in answer.detail


async def test_nobody_there_is_said_in_plain_words(backend: Backend, clock: SteppedClock) -> None:
    settings = LiveSettings(Settings())
    tokens = TokenSource(env={}, settings=settings)
    upstream = Upstream(base_url="http://127.0.0.1:9", tokens=tokens, settings=settings, clock=clock)
    answer, _ = await upstream.send_batch([RECORD])
    assert (answer.outcome, answer.status) == (Outcome.TRANSIENT, None)
    assert answer.detail.startswith("POST /api/events: cannot connect: ")
    await upstream.close()


async def test_a_refusal_is_told_in_the_backends_words_in_one_short_line(backend: Backend, upstream: Upstream) -> None:
    problem = {"title": "Unprocessable\n", "detail": "status: " + "x" * 1000, "type": "about:blank"}
    backend.answer = lambda: web.json_response(problem, status=422)
    answer = await upstream.send_event(status_event(), "a b/c", None)
    assert answer.detail.startswith("PATCH /api/tasks/a%20b%2Fc: HTTP 422: Unprocessable status: xxx")
    assert len(answer.detail) < 400
    for body in (b"\xff\xfe", b"[" * 2000, b"plain words", b'{"detail": {"a": 1}}', b"null"):
        backend.answer = lambda body=body: web.Response(status=400, body=body)
        assert (await upstream.send_event(status_event(), "t", None)).outcome is Outcome.REFUSED


async def test_a_retry_after_is_read_and_clamped(backend: Backend, upstream: Upstream) -> None:
    for value, expected_s in (("7", 7.0), ("1000000000", 300.0), ("Sat, 28 Feb 2026 08:00:30 GMT", 30.0), ("soon", None)):
        backend.answer = lambda value=value: web.Response(status=503, headers={"Retry-After": value})
        answer, _ = await upstream.send_batch([RECORD])
        assert answer.retry_after_s == expected_s


async def test_a_control_state_is_read(backend: Backend, upstream: Upstream) -> None:
    backend.answer = lambda: web.json_response({"interrupt_requested": True, "interrupt_id": 7})
    answer, control = await upstream.get_control("t")
    assert (answer.outcome, control) == (Outcome.DELIVERED, Control(interrupt_requested=True, interrupt_id="7"))
    backend.answer = lambda: web.json_response({})
    answer, control = await upstream.get_control("t")
    assert (answer.outcome, control) == (Outcome.TRANSIENT, None)

"""What the backend refuses to read, and whom it stops waiting for."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import Callable
from contextlib import suppress

import aiohttp
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

import clawlog_backend.http.bodies
import clawlog_backend.http.connections
import clawlog_backend.http.limits
import clawlog_backend.http.server
from clawlog_backend.http.connections import ConnectionBounds
from support.running_backend import Api, RunningBackend, connected

JSON = {"content-type": "application/json"}
PACKED = JSON | {"content-encoding": "gzip"}


@pytest.fixture(params=["h11", "httptools"])
def _each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve with each of uvicorn's parsers: which one it takes by itself depends on what is installed."""
    protocol = H11Protocol
    if request.param == "httptools":
        implementation = pytest.importorskip("uvicorn.protocols.http.httptools_impl", reason="httptools is not installed")
        protocol = implementation.HttpToolsProtocol
    monkeypatch.setattr(clawlog_backend.http.server, "BoundedConnection", type("Bounded", (ConnectionBounds, protocol), {}))


async def test_what_is_not_json_is_refused(api: Api) -> None:
    for path in ("/api/tasks", "/api/events"):
        for body in (
            b"", b"{", b'{"title": NaN}', b"[" * 100_000, b'{"title": ' + b"9" * 5_000 + b"}", b'{"title": "\\ud800"}',
            b'{"title": "\xff"}',
        ):  # fmt: skip
            status, problem = await api("POST", path, data=body, headers=JSON)
            assert status == 422, (path, body[:20], problem)


async def test_a_body_over_a_mebibyte_is_refused_packed_or_not_announced_or_not(api: Api) -> None:
    large = json.dumps({"events": [], "padding": "x" * 1024 * 1024}).encode()

    async def unannounced():  # type: ignore[no-untyped-def]
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    assert (await api("POST", "/api/events", data=io.BytesIO(large), headers=JSON))[0] == 413
    assert (await api("POST", "/api/events", data=unannounced(), headers=JSON))[0] == 413
    assert (await api("POST", "/api/events", data=gzip.compress(large), headers=PACKED))[0] == 413
    assert (await api("POST", "/api/events", data=gzip.compress(large)[:500], headers=PACKED))[0] == 422
    assert (await api("POST", "/api/events", data=b"not gzip", headers=PACKED))[0] == 422
    assert (await api("POST", "/api/events", data=b"{}", headers=JSON | {"content-encoding": "br"}))[0] == 415
    fits = json.dumps({"events": [], "padding": "x" * (1024 * 1024 - 30)}).encode()
    assert await api("POST", "/api/events", data=io.BytesIO(fits), headers=JSON) == (200, {"results": []})


async def test_a_form_from_another_site_is_not_taken_for_json(api: Api) -> None:
    body = json.dumps({"title": "forged"})
    assert (await api("POST", "/api/tasks", data=body, headers={"content-type": "text/plain"}))[0] == 422
    assert (await api("POST", "/api/events", data='{"events":[]}', headers={"content-type": "text/plain"}))[0] == 415


async def test_a_body_that_does_not_come_is_waited_for_in_vain_only_so_long(
    backend: RunningBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.http.bodies, "BODY_S", 0.2)
    async with connected(backend.url) as (reader, writer):
        writer.write(
            b"POST /api/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_sends_no_whole_request_is_dropped(
    start_backend: Callable[..., RunningBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.http.connections, "HEAD_S", 0.2)
    async with connected(start_backend().url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: loc")
        assert await reader.read() == b""


@pytest.mark.usefixtures("_each_parser")
async def test_every_further_request_of_a_connection_has_to_come_whole_in_time_too(
    start_backend: Callable[..., RunningBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.http.connections, "HEAD_S", 0.3)
    whole, part = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", b"GET /healthz HTTP/1.1\r\nhost: loc"
    async with connected(start_backend().url) as (reader, writer):
        for _ in range(3):
            await asyncio.sleep(0.2)  # an idle connection is not hurried
            writer.write(whole)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        began = asyncio.get_running_loop().time()
        writer.write(part)
        with suppress(ConnectionResetError):
            while not reader.at_eof():  # a byte now and then gains no time
                writer.write(b"a")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await reader.read()
        assert 0.2 < asyncio.get_running_loop().time() - began < 5


@pytest.mark.usefixtures("_each_parser")
async def test_a_head_without_end_is_not_kept(start_backend: Callable[..., RunningBackend]) -> None:
    async with connected(start_backend().url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + b"a: b\r\n" * 100_000)
        with suppress(ConnectionResetError):
            assert not (await reader.read()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("_each_parser")
async def test_whoever_waits_for_an_answer_may_take_time_with_the_next_request(
    start_backend: Callable[..., RunningBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.http.connections, "HEAD_S", 0.8)  # runs out once during the poll
    body = b'{"task_ids":[],"cursor":"none","wait_s":1}'
    poll = b"POST /api/control/poll HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    async with connected(start_backend().url) as (reader, writer):
        writer.write(poll % len(body) + body)
        await asyncio.sleep(0.1)
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"host: localhost\r\n\r\n")
        assert b"HTTP/1.1 200 " in await reader.readuntil(b"version")


@pytest.mark.usefixtures("_each_parser")
async def test_held_polls_that_are_told_the_same_are_answered_as_all_else_is(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    api = Api(session, start_backend().url)
    await api.task()
    _, first = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    poll = {"task_ids": ["t1"], "cursor": first["cursor"], "wait_s": 30}

    async def held(**headers: str) -> tuple[int, dict[str, str], bytes]:
        async with session.post(f"{api.url}/api/control/poll", json=poll, headers=headers) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()

    waiting = [asyncio.create_task(held(**headers)) for headers in ({}, {}, {"Connection": "close"})]
    while b"clawlog_backend_polls_waiting 3" not in (await api("GET", "/metrics"))[1]:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    assert (await api("POST", "/api/tasks/t1/interrupt", {}))[0] == 201
    kept, again, closed = [await answer for answer in waiting]
    assert kept == again
    assert closed[1].pop("connection") == "close"  # what is answered over it passes through all that stands in front
    for answer in (kept, closed):
        answer[1].pop("date")  # of the second in which each was asked for, or answered
    assert kept == closed
    counted = b'clawlog_backend_http_requests_total{method="POST",route="/api/control/poll",status="200"} 4'
    assert counted in (await api("GET", "/metrics"))[1]

    async with session.get(f"{api.url}/api/control/poll") as refused:
        assert (refused.status, (await refused.json())["code"], refused.headers["Allow"]) == (405, "method_not_allowed", "POST")


async def test_a_client_that_does_not_take_its_answers_is_dropped(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.http.connections, "STALLED_ANSWER_S", 0.2)
    backend = start_backend()
    api = Api(session, backend.url)
    for n in range(20):
        await api.task(f"t{n}", steps=200)
    async with connected(backend.url) as (_reader, writer):
        for _ in range(100):  # about 60 MB of answers, of which none is read
            writer.write(b"GET /api/tasks?limit=500 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        while not writer.transport.is_closing():  # asyncio closes its end once the other is gone
            writer.write(b"\r\n")
            await asyncio.sleep(0.05)
    assert (await api("GET", "/healthz"))[0] == 200


async def test_polls_and_streams_are_bounded_in_number(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    api = Api(session, start_backend(max_polls=2, max_streams=1).url)
    await api.task()
    _, first = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    poll = {"task_ids": ["t1"], "cursor": first["cursor"], "wait_s": 30}
    waiting = {asyncio.create_task(api("POST", "/api/control/poll", poll)) for _ in range(3)}
    (refused,), waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result()[0] == 429
    await api("POST", "/api/tasks/t1/interrupt", {})
    for answer in waiting:
        assert (await answer)[0] == 200

    async with session.get(api.url + "/api/stream") as stream:
        assert stream.status == 200
        assert (await api("GET", "/api/stream"))[0] == 429


async def test_a_client_elsewhere_that_asks_too_often_is_told_to_wait(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(session, start_backend(requests_per_s=1).url)
    for _ in range(30):  # this machine may ask as often as it likes
        assert (await api("GET", "/healthz"))[0] == 200
    monkeypatch.setattr(clawlog_backend.http.limits, "_client", lambda _address: "192.0.2.1")
    answers = [await api("GET", "/healthz") for _ in range(12)]
    assert [status for status, _ in answers[:10]] == [200] * 10
    assert answers[-1][0] == 429
    assert answers[-1][1]["code"] == "too_many_requests"
    async with session.get(api.url + "/healthz") as refused:
        assert 1 <= int(refused.headers["Retry-After"]) <= 2
        assert "Content-Security-Policy" in refused.headers

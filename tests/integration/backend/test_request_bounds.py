"""What the backend refuses to read, and whom it stops waiting for."""

import asyncio
import gzip
import io
import json
from collections.abc import Callable

import aiohttp
import pytest

import clawlog_backend.bodies
import clawlog_backend.connections
from integration.backend.running import Api, RunningBackend, connected

JSON = {"content-type": "application/json"}
PACKED = JSON | {"content-encoding": "gzip"}


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
    monkeypatch.setattr(clawlog_backend.bodies, "BODY_S", 0.2)
    async with connected(backend.url) as (reader, writer):
        writer.write(
            b"POST /api/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_sends_no_whole_request_is_dropped(
    start_backend: Callable[..., RunningBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.connections, "FIRST_REQUEST_S", 0.2)
    async with connected(start_backend().url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: loc")
        assert await reader.read() == b""


async def test_a_client_that_does_not_take_its_answers_is_dropped(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.connections, "STALLED_ANSWER_S", 0.2)
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

"""Replies leave in the order of their requests, whatever each of them waits for."""

from __future__ import annotations

import json
from typing import Any

from support.callers import Caller
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until


def mixed_request(number: int) -> Any:
    """Every kind of request: at once, after a commit, after a question to the backend, after a wait, wrong, in a batch."""
    params: dict[str, Any] = {"task_id": "t"}
    match number % 10:
        case 0:
            method, params = "task.create", {"title": f"{number}", "base_url": "http://127.0.0.1:9"}
        case 1 | 2 | 3:
            method, params = "step.update", {"task_id": "t", "step": 1, "status": "running", "summary": f"{number}"}
        case 4:
            method = "task.get"
        case 5:
            method = "task.heartbeat"
        case 6:
            method = "interrupt.check"
            params["wait_s"] = 0.05 if number % 100 == 6 else 0
            params["max_age_s"] = 0 if number % 50 == 6 else 60
        case 7:
            method = "no.such"
        case 8:
            request = {
                "jsonrpc": "2.0",
                "id": number,
                "method": "step.update",
                "params": {**params, "step": 9, "status": "done"},
            }
            return [request]
        case _:
            method, params = "deadletter.list", {}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def test_a_thousand_pipelined_requests_of_every_kind(caller: Caller, daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    for number in range(1000):
        await caller.send(json.dumps(mixed_request(number)).encode())
    replies = [json.loads(await caller.receive()) for _ in range(1000)]
    assert [reply[0]["id"] if isinstance(reply, list) else reply["id"] for reply in replies] == list(range(1000))
    refused = [number for number, reply in enumerate(replies) if isinstance(reply, list) or "error" in reply]
    assert refused == [number for number in range(1000) if number % 10 in {7, 8}]
    assert (await daemon.call("daemon.flush", task_id="t"))["flushed"] is True
    summaries = [each.body["summary"] for each in plain.events[1:]]
    assert summaries == [str(number) for number in range(1000) if number % 10 in {1, 2, 3}]


async def test_a_caller_that_does_not_read_its_replies_holds_up_no_other(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["部" * 200] * 50, base_url="http://127.0.0.1:9")
    greedy = await daemon.connect()
    request = b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"t"}}'
    await greedy.send_bytes((request + b"\n") * 1000)  # 35 MB of replies, that nobody reads
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == 1
    replies = [await greedy.receive() for _ in range(1000)]
    assert all(reply.startswith(b'{"jsonrpc":"2.0","id":1,"result":') for reply in replies)


async def test_a_caller_that_goes_away_is_forgotten_and_what_it_asked_for_is_done(daemon: RunningDaemon) -> None:
    for number in range(50):
        caller = await daemon.connect()
        await caller.send(
            b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"T","task_id":"t%d"}}' % number
            + b'\n{"jsonrpc":"2.0","id":2,"method":"interrupt.check","params":{"task_id":"t%d","wait_s":300}}' % number
        )
        await caller.close()

    async def all_are_done() -> bool:
        return len((await daemon.call("task.list"))["tasks"]) == 50

    await until(all_are_done)

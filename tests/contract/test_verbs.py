"""Every verb's requests and replies, word for word, and the same over each way to reach the daemon.

``conversation.txt`` holds them: ``→`` is what the caller sends, ``←`` what the daemon answers, with what varies from run to run
put in a fixed form. After a change that is meant, ``CLAWLOG_RECORD_CONVERSATION=1`` writes the replies anew; the difference is
then for a person to read.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from clawlogd.verbs.catalogue import VERBS
from support.callers import Caller, UnixCaller, exchange
from support.plain_server import PlainServer, Recorded
from support.running_daemon import RunningDaemon

CONVERSATION = Path(__file__).with_name("conversation.txt")
BACKEND = "<backend>"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MEASURED = frozenset({"age_s", "next_in_s", "uptime_s", "pid", "memory_bytes", "accepted_per_hour", "retried", "delivered"})
_OF_THE_RUN = frozenset({"state_dir", "socket", "zmq", "version", "profile", "event_loop"})


def normalised(value: Any, name: str = "") -> Any:
    """The value with times, minted ids, paths and measured numbers replaced by their kind."""
    if isinstance(value, dict):
        return {key: normalised(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [normalised(each) for each in value]
    if name in _OF_THE_RUN or (name in _MEASURED and not isinstance(value, bool)):
        return f"<{name}>"
    return _TIME.sub("<time>", _UUID.sub("<uuid>", value)) if isinstance(value, str) else value


def requests() -> list[str]:
    return [line[2:] for line in CONVERSATION.read_text(encoding="utf-8").splitlines() if line.startswith("→")]


def replies() -> list[Any]:
    return [json.loads(line[2:]) for line in CONVERSATION.read_text(encoding="utf-8").splitlines() if line.startswith("←")]


def refuse_some(request: Recorded) -> int | None:
    return 422 if request.is_event and "refuse" in str(request.body.get("summary")) else None


async def test_the_conversation_goes_as_it_is_written_down(any_caller: Caller, plain: PlainServer) -> None:
    plain.intercept = refuse_some
    received = []
    for request in requests():
        await any_caller.send(request.replace(BACKEND, plain.url).encode())
        raw = (await any_caller.receive()).decode()
        assert raw == json.dumps(json.loads(raw), ensure_ascii=False, separators=(",", ":"))
        received.append(normalised(json.loads(raw.replace(plain.url, BACKEND))))
    if os.environ.get("CLAWLOG_RECORD_CONVERSATION"):
        _record(received)
        pytest.fail(f"{CONVERSATION.name} was written anew; read the difference")
    assert received == replies()


def _record(received: list[Any]) -> None:
    left = iter(received)
    lines = [
        f"← {json.dumps(next(left), ensure_ascii=False)}" if line.startswith("←") else line
        for line in CONVERSATION.read_text(encoding="utf-8").splitlines()
    ]
    CONVERSATION.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_conversation_has_every_verb_and_answers_every_request() -> None:
    assert {json.loads(request)["method"] for request in requests()} >= {verb.name for verb in VERBS}
    assert len(requests()) == len(replies())


async def test_a_watch_is_notified_of_changes_over_both_listeners(
    caller: Caller, daemon: RunningDaemon, plain: PlainServer
) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    request = {"jsonrpc": "2.0", "id": 1, "method": "interrupt.watch", "params": {"task_id": "t"}}
    assert (await exchange(caller, request))["result"]["interrupt_requested"] is False
    stop = plain.ask_to_stop(plain.only_task.task_id, "wrong branch")
    notification = json.loads(await caller.receive())
    notification["params"].pop("age_s")
    assert notification == {
        "jsonrpc": "2.0",
        "method": "interrupt.changed",
        "params": {
            "task_id": "t",
            "state": "requested",
            "interrupt_requested": True,
            "interrupt_id": str(stop.interrupt_id),
            "mode": "soft_stop",
            "reason": "wrong branch",
            "requested_at": stop.requested_at,
        },
    }


async def test_a_line_may_end_in_crlf_and_empty_lines_are_passed_over(daemon: RunningDaemon) -> None:
    caller = await UnixCaller.connect(daemon.socket_path)
    await caller.send_bytes(b'\n\r\n  \n{"jsonrpc":"2.0","id":7,"method":"deadletter.list"}\r\n\n')
    assert json.loads(await caller.receive()) == {"jsonrpc": "2.0", "id": 7, "result": {"dead_letters": []}}
    await caller.close()


async def test_a_line_may_come_in_pieces(daemon: RunningDaemon) -> None:
    caller = await UnixCaller.connect(daemon.socket_path)
    for byte in '{"jsonrpc":"2.0","id":"部","method":"deadletter.list"}\n'.encode():
        await caller.send_bytes(bytes([byte]))
    assert json.loads(await caller.receive())["id"] == "部"
    await caller.close()

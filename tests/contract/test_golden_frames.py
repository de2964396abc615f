"""The wire as bytes: what clients of this version say, and what the daemon answers, must stay readable for ever.

A frame here changes only together with ``docs/wire-protocol.md`` and, where an old side would misread it, with the protocol's
version.
"""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.calls import NewStep, PlannedStep, Progress
from clawlog.connection.results import (
    Accepted,
    AddedStep,
    AgentAnswer,
    Beat,
    CreatedTask,
    Flushed,
    Planned,
    StepHandle,
    StopPhase,
    StopState,
)
from clawlog.connection.session import Changed, Session
from clawlog.errors import Refused
from clawlog.protocol import errors, jsonrpc, spool, vocabulary

EVENT = "0196f0c0-0000-7000-8000-000000000001"

REQUESTS: list[tuple[Call[Any], str]] = [
    (
        calls.create_task(
            "部署 Nginx 服务", ["检查", NewStep("写", "w")], task_id="t-1", event_id=EVENT, base_url="http://b:1"
        ),
        '{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"部署 Nginx 服务",'
        '"steps":["检查",{"title":"写","step_id":"w"}],"task_id":"t-1","event_id":"' + EVENT + '","base_url":"http://b:1"}}',
    ),
    (
        calls.create_task("t", task_id="t", event_id=EVENT, summary="s", watch_pid=42, lease_s=30.0, metadata={"k": "v"}),
        '{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"t","steps":[],"task_id":"t","event_id":"'
        + EVENT
        + '",'
        '"summary":"s","watch_pid":42,"lease_s":30.0,"metadata":{"k":"v"}}}',
    ),
    (
        calls.update_task("t-1", "failed", summary="disk full", event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"task.update","params":{"task_id":"t-1","status":"failed","summary":"disk full",'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.update_task("t-1", "waiting", summary="Which one?", event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"task.update","params":{"task_id":"t-1","status":"waiting","summary":"Which one?",'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.create_task("t", task_id="t", event_id=EVENT, cwd="/srv/site", parent_task_id="p-1"),
        '{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"t","steps":[],"task_id":"t","event_id":"'
        + EVENT
        + '","cwd":"/srv/site","parent_task_id":"p-1"}}',
    ),
    (
        calls.plan_task("t-1", ["写", NewStep("test", "x"), PlannedStep("look", "done", "t-1-1")], event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"task.plan","params":{"task_id":"t-1","steps":[{"title":"写"},'
        '{"title":"test","step_id":"x"},{"title":"look","status":"done","step_id":"t-1-1"}],"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.add_step("t-1", "think", step_id="x", after=2, event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"step.add","params":{"task_id":"t-1","title":"think","step_id":"x","after":2,'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.annotate_task("t-1", {"branch": "main", "draft": None}, event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"task.annotate","params":{"task_id":"t-1","event_id":"'
        + EVENT
        + '","metadata":{"branch":"main","draft":null}}}',
    ),
    (
        calls.link_task("t-1", "https://x/1", name="one", event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"task.link","params":{"task_id":"t-1","url":"https://x/1","name":"one",'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.update_step("t-1", 2, "running", event_id=EVENT, progress=Progress(318, 2480, "files")),
        '{"jsonrpc":"2.0","id":1,"method":"step.update","params":{"task_id":"t-1","step":2,"status":"running",'
        '"event_id":"' + EVENT + '","progress":{"done":318,"total":2480,"unit":"files"}}}',
    ),
    (
        calls.heartbeat("t-1", progress=Progress(0.5)),
        '{"jsonrpc":"2.0","id":1,"method":"task.heartbeat","params":{"task_id":"t-1","progress":{"done":0.5}}}',
    ),
    (calls.get_task("t-1"), '{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"t-1"}}'),
    (calls.list_tasks(), '{"jsonrpc":"2.0","id":1,"method":"task.list","params":{}}'),
    (calls.list_tasks(active=True), '{"jsonrpc":"2.0","id":1,"method":"task.list","params":{"active":true}}'),
    (
        calls.update_step("t-1", 2, "done", event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"step.update","params":{"task_id":"t-1","step":2,"status":"done",'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.heartbeat("t-1", summary="412 of 900", lease_s=60.0, watch_pid=7),
        (
            '{"jsonrpc":"2.0","id":1,"method":"task.heartbeat","params":{"task_id":"t-1","summary":"412 of 900","lease_s":60.0,'
            '"watch_pid":7}}'
        ),
    ),
    (
        calls.check_interrupt("t-1", max_age_s=0.0, wait_s=30.0),
        '{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"t-1","max_age_s":0.0,"wait_s":30.0}}',
    ),
    (calls.watch_interrupt("t-1"), '{"jsonrpc":"2.0","id":1,"method":"interrupt.watch","params":{"task_id":"t-1"}}'),
    (
        calls.ack_interrupt("t-1", interrupt_id="i-9", summary="stopped", event_id=EVENT),
        '{"jsonrpc":"2.0","id":1,"method":"interrupt.ack","params":{"task_id":"t-1","interrupt_id":"i-9","summary":"stopped",'
        '"event_id":"' + EVENT + '"}}',
    ),
    (
        calls.agent_event("codex", "s-1", "prompt", prompt="\n Fix it\nAll of it", pid=7, event_id=EVENT),
        (
            '{"jsonrpc":"2.0","id":1,"method":"agent.event","params":{"agent":"codex","session_id":"s-1","event":"prompt",'
            '"pid":7,"prompt":"Fix it","event_id":"' + EVENT + '"}}'
        ),
    ),
    (calls.daemon_status(), '{"jsonrpc":"2.0","id":1,"method":"daemon.status","params":{}}'),
    (
        calls.flush(timeout_s=5.0, task_id="t-1"),
        '{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{"timeout_s":5.0,"task_id":"t-1"}}',
    ),
    (calls.list_dead_letters(), '{"jsonrpc":"2.0","id":1,"method":"deadletter.list","params":{}}'),
    (
        calls.retry_dead_letters([EVENT]),
        '{"jsonrpc":"2.0","id":1,"method":"deadletter.retry","params":{"event_ids":["' + EVENT + '"]}}',
    ),
    (calls.drop_dead_letters(), '{"jsonrpc":"2.0","id":1,"method":"deadletter.drop","params":{"all":true}}'),
    (
        calls.show_contract("http://b:1"),
        '{"jsonrpc":"2.0","id":1,"method":"contract.show","params":{"base_url":"http://b:1"}}',
    ),
    (
        calls.try_contract("http://b:1", contract={"create": {"method": "POST", "path": "/t"}}, timeout_s=5.0),
        (
            '{"jsonrpc":"2.0","id":1,"method":"contract.try","params":{"base_url":"http://b:1",'
            '"contract":{"create":{"method":"POST","path":"/t"}},"timeout_s":5.0}}'
        ),
    ),
]

STEP = '{"step_id":"t-1-1","position":1,"title":"检查","status":"pending"}'

REPLIES: list[tuple[Call[Any], str, object]] = [
    (
        calls.create_task("t"),
        '{"task_id":"t-1","title":"t","base_url":"http://b","steps":[' + STEP + "]}",
        CreatedTask("t-1", "t", "http://b", (StepHandle("t-1-1", 1, "检查", "pending"),)),
    ),
    (
        calls.update_step("t", 1, "done"),
        '{"accepted":true,"event_id":"' + EVENT + '","pending":3,"summary_truncated":true}',
        Accepted(EVENT, 3, summary_truncated=True),
    ),
    (
        calls.create_task("t"),
        '{"task_id":"t-1","title":"t","base_url":"http://b","url":"http://b/tasks/t-1","steps":[]}',
        CreatedTask("t-1", "t", "http://b", (), url="http://b/tasks/t-1"),
    ),
    (
        calls.plan_task("t", []),
        '{"accepted":true,"event_id":"' + EVENT + '","pending":3,"steps":[' + STEP + "]}",
        Planned(EVENT, 3, steps=(StepHandle("t-1-1", 1, "检查", "pending"),)),
    ),
    (
        calls.add_step("t", "检查"),
        '{"accepted":true,"event_id":"' + EVENT + '","pending":3,"step":' + STEP + "}",
        AddedStep(EVENT, 3, step=StepHandle("t-1-1", 1, "检查", "pending")),
    ),
    (calls.heartbeat("t"), '{"accepted":true,"next_in_s":14.2}', Beat(14.2)),
    (
        calls.check_interrupt("t"),
        '{"state":"none","interrupt_requested":false,"interrupt_id":null,"mode":null,"reason":null,"requested_at":null,"age_s":1.5}',
        StopState(StopPhase.NONE, age_s=1.5),
    ),
    (
        calls.check_interrupt("t"),
        (
            '{"state":"requested","interrupt_requested":true,"interrupt_id":"i","mode":"soft_stop","reason":"why",'
            '"requested_at":"2026-01-02T03:04:05.678Z","age_s":0.0}'
        ),
        StopState(StopPhase.REQUESTED, "i", "soft_stop", "why", "2026-01-02T03:04:05.678Z", 0.0),
    ),
    (
        calls.agent_event("codex", "s-1", "tool.before", tool="Bash"),
        '{"task_id":"t-1","decision":"stop","interrupt_id":"i","reason":"why"}',
        AgentAnswer("stop", "t-1", "i", "why"),
    ),
    (calls.flush(), '{"flushed":false,"pending":4,"of_a_later_version":1}', Flushed(flushed=False, pending=4)),
]


@pytest.mark.parametrize(("call", "frame"), REQUESTS, ids=[call.method for call, _ in REQUESTS])
def test_a_client_says(call: Call[Any], frame: str) -> None:
    assert Session().request(call) == (1, frame.encode())


@pytest.mark.parametrize(("call", "frame"), REQUESTS, ids=[call.method for call, _ in REQUESTS])
def test_the_daemon_reads_what_a_client_says(call: Call[Any], frame: str) -> None:
    assert jsonrpc.decode(frame.encode()) == jsonrpc.Request(call.method, dict(call.params), 1)


def test_every_verb_has_its_frame() -> None:
    verbs = {
        name
        for name in vars(calls)
        if name in {"flush", "heartbeat", "daemon_status"}
        or name.endswith(("_task", "_tasks", "_step", "_interrupt", "_letters", "_contract", "_event"))
    }
    assert len({call.method for call, _ in REQUESTS}) == len(verbs)


@pytest.mark.parametrize(("call", "result", "value"), REPLIES, ids=[call.method for call, _, _ in REPLIES])
def test_a_client_reads(call: Call[Any], result: str, value: object) -> None:
    response = jsonrpc.decode_reply(b'{"jsonrpc":"2.0","id":1,"result":' + result.encode() + b"}")
    assert isinstance(response, jsonrpc.Response)
    assert call.decode_reply(response) == value


def test_a_client_reads_a_refusal() -> None:
    data = '{"code":"unknown_step","steps":[' + STEP + "]}"
    frame = '{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"No step \'x\'","data":' + data + "}}"
    response = jsonrpc.decode_reply(frame.encode())
    assert isinstance(response, jsonrpc.Response)
    with pytest.raises(Refused) as caught:
        calls.update_step("t", "x", "done").decode_reply(response)
    assert (caught.value.code, caught.value.name, caught.value.message) == (errors.UNKNOWN_STEP, "unknown_step", "No step 'x'")


def test_a_client_reads_what_is_pushed() -> None:
    frame = (
        '{"jsonrpc":"2.0","method":"interrupt.changed","params":{"task_id":"t","state":"acknowledged","interrupt_requested":false,'
        '"interrupt_id":"i","mode":"soft_stop","reason":null,"requested_at":null,"age_s":0.0}}'
    )
    assert Session().receive(frame.encode()) == Changed(
        "t", StopState(StopPhase.ACKNOWLEDGED, "i", "soft_stop", None, None, 0.0)
    )


def test_the_daemon_says_an_error() -> None:
    error = errors.RpcError(errors.TASK_FINISHED, "The task has ended", status="done")
    assert jsonrpc.encode_error("a", error) == (
        b'{"jsonrpc":"2.0","id":"a","error":{"code":-32003,"message":"The task has ended",'
        b'"data":{"code":"task_finished","status":"done"}}}'
    )


def test_a_spool_file_of_this_version() -> None:
    content = spool.encode("2026-01-02T03:04:05.678Z", [("interrupt.ack", {"task_id": "t", "event_id": EVENT})])
    assert content == (
        b'0d36f1b7\n{"version":1,"at":"2026-01-02T03:04:05.678Z","requests":[{"method":"interrupt.ack",'
        b'"params":{"task_id":"t","event_id":"' + EVENT.encode() + b'"}}]}\n'
    )
    assert spool.decode(content).requests == (("interrupt.ack", {"task_id": "t", "event_id": EVENT}),)


def test_the_bounds_and_codes_of_protocol_1() -> None:
    assert vocabulary.PROTOCOL_VERSION == 1
    assert vocabulary.MAX_LINE_BYTES == 65_536
    assert {name: code for code, name in errors.NAMES.items()} == {
        "parse_error": -32700,
        "invalid_request": -32600,
        "method_not_found": -32601,
        "invalid_params": -32602,
        "internal_error": -32603,
        "unknown_task": -32001,
        "unknown_step": -32002,
        "task_finished": -32003,
        "outbox_full": -32004,
        "shutting_down": -32005,
        "storage_failed": -32006,
        "too_large": -32007,
        "no_open_interrupt": -32008,
    }

"""Whatever comes in, the answer is clear and the daemon goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from support.callers import Caller, DealerCaller, UnixCaller, exchange
from support.running_daemon import RunningDaemon

STATUS = b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}'


def create(params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{%s}}' % params


def heartbeat(progress: bytes) -> bytes:
    params = b'{"task_id":"t","progress":{"done":%s}}' % progress
    return b'{"jsonrpc":"2.0","id":1,"method":"task.heartbeat","params":%s}' % params


MALFORMED = [
    pytest.param(b"{", "Not JSON", id="broken"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"', "Not JSON", id="cut"),
    pytest.param(STATUS + STATUS, "Not JSON", id="two at once"),
    pytest.param(b"GET / HTTP/1.1", "Not JSON", id="HTTP"),
    pytest.param(b"'single'", "Not JSON", id="quotes"),
    pytest.param(b"\x00\x01\x02", "Not JSON", id="binary"),
    pytest.param(b'\xff\xfe{"a":1}', "invalid UTF-8 at byte 0", id="no UTF-8"),
    pytest.param(create('"title":"\u00e9"'.encode("latin-1")), "invalid UTF-8", id="Latin-1"),
    pytest.param(create(b'"title":"T","lease_s":NaN'), "NaN is not JSON", id="NaN"),
    pytest.param(create(b'"title":"T","lease_s":Infinity'), "Infinity is not JSON", id="Infinity"),
    pytest.param(create(b'"title":"T","lease_s":-Infinity'), "-Infinity is not JSON", id="-Infinity"),
    pytest.param(create(b'"title":"T","lease_s":1e999'), "beyond a double", id="1e999"),
    pytest.param(create(b'"title":"T","lease_s":' + b"9" * 5000), "an integer of 5000 digits", id="5000 digits"),
    pytest.param(create(b'"title":"T","watch_pid":' + b"9" * 25), "an integer of 25 digits", id="25 digits"),
    pytest.param(b'{"jsonrpc":"2.0","id":%s,"method":"daemon.status"}' % (b"9" * 25), "of 25 digits", id="25 digits of an id"),
    pytest.param(heartbeat(b"NaN"), "NaN is not JSON", id="NaN in a progress"),
    pytest.param(heartbeat(b"1e999"), "beyond a double", id="1e999 in a progress"),
    pytest.param(heartbeat(b'1,"done":2'), "'done' occurs twice", id="duplicate in a progress"),
    pytest.param(heartbeat(rb'1,"unit":"\ud800"'), "lone surrogate", id="lone surrogate in a progress"),
    pytest.param(create(b'"title":"T","title":"U"'), "'title' occurs twice", id="duplicate parameter"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"daemon.status"}', "'id' occurs twice", id="duplicate member"),
    pytest.param(create(b'"title":"T","metadata":{"a":"1","a":"2"}'), "'a' occurs twice", id="duplicate inside"),
    pytest.param(create(b'"title":"T","title" :"U"'), "'title' occurs twice", id="duplicate with a space"),
    pytest.param(create(rb'"title":"T","titl\u0065":"U"'), "'title' occurs twice", id="duplicate by escape"),
    pytest.param(create(rb'"title":"\ud800"'), "lone surrogate", id="lone surrogate"),
    pytest.param(create(rb'"\udfff":"x"'), "lone surrogate", id="lone surrogate in a name"),
    pytest.param(create(b'"title":"a\nb"'.replace(b"\n", b"\x0b")), "Not JSON", id="control character"),
    pytest.param(b"[" * 30_000 + b"]" * 30_000, "nested too deeply", id="deep arrays"),
    pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply", id="deep objects"),
]


@pytest.mark.parametrize(("line", "said"), MALFORMED)
async def test_what_is_no_strict_json_is_a_parse_error_and_the_connection_goes_on(
    caller: Caller, line: bytes, said: str
) -> None:
    reply = await exchange(caller, line)
    assert (reply["id"], reply["error"]["code"], reply["error"]["data"]["code"]) == (None, -32700, "parse_error")
    assert said in reply["error"]["message"]
    assert "result" in await exchange(caller, STATUS)
    assert (await exchange(caller, b'{"jsonrpc":"2.0","id":2,"method":"task.list"}'))["result"] == {"tasks": []}


FITS = [
    pytest.param(rb'"title":"\ud83d\udc69"', "👩", id="surrogate pair"),
    pytest.param(r'"title":"\u90e8署"'.encode(), "部署", id="escapes"),
    pytest.param(b'"title":"a\\u0000b"', "a b", id="NUL"),
    pytest.param(b'"title":"tab\\tand\\nline"', "tab and line", id="line break"),
    pytest.param(b'"title":"' + b"x" * 200 + b'"', "x" * 200, id="200 characters"),
    pytest.param('"title":"{}"'.format("部" * 200).encode(), "部" * 200, id="200 characters of three bytes"),
]


@pytest.mark.parametrize(("params", "title"), FITS)
async def test_every_text_that_json_can_say_is_taken(caller: Caller, params: bytes, title: str) -> None:
    assert (await exchange(caller, create(params)))["result"]["title"] == title


BAD_PARAMS: list[Any] = [
    ("task.create", {}, "title", "1 to 200 characters"),
    ("task.create", {"title": ""}, "title", "1 to 200 characters"),
    ("task.create", {"title": "x" * 201}, "title", "1 to 200 characters"),
    ("task.create", {"title": 7}, "title", "1 to 200 characters"),
    ("task.create", {"title": "\u200e\n"}, "title", "visible character"),
    ("task.create", {"title": "T", "steps": [f"{n}" for n in range(300)]}, "steps", "at most 200"),
    ("task.create", {"title": "T", "steps": [""]}, "steps", "1 to 200 characters"),
    ("task.create", {"title": "T", "steps": ["\n"]}, "steps", "expected a title"),
    ("task.create", {"title": "T", "steps": "one"}, "steps", "titles"),
    ("task.create", {"title": "T", "steps": [{"titel": "x"}]}, "steps", "objects with title and step_id"),
    ("task.create", {"title": "T", "steps": [{"step_id": "x"}]}, "steps", "objects with title and step_id"),
    (
        "task.create",
        {"title": "T", "steps": [{"title": "a", "step_id": "s"}, {"title": "b", "step_id": "s"}]},
        "steps",
        "differ",
    ),
    ("task.create", {"title": "T", "task_id": "a/b"}, "task_id", "letters, digits"),
    ("task.create", {"title": "T", "task_id": ".."}, "task_id", "letters, digits"),
    ("task.create", {"title": "T", "task_id": "x" * 65}, "task_id", "1 to 64"),
    ("task.create", {"title": "T", "task_id": "t\n"}, "task_id", "letters, digits"),
    ("task.create", {"title": "T", "event_id": "1"}, "event_id", "UUID"),
    ("task.create", {"title": "T", "event_id": "01900000-0000-7000-8000-000000000000\n"}, "event_id", "UUID"),
    ("task.create", {"title": "T", "base_url": "localhost:8000"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "ftp://x"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "http://"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "http://x:99999"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "http://[::1"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "http://x y"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "base_url": "http://user:secret@x"}, "base_url", "CLAWLOG_TOKEN_FILE"),
    ("task.create", {"title": "T", "base_url": "http://x?token=1"}, "base_url", "http://localhost:8000"),
    ("task.create", {"title": "T", "watch_pid": 0}, "watch_pid", "running process"),
    ("task.create", {"title": "T", "watch_pid": 2**31 - 1}, "watch_pid", "running process"),
    ("task.create", {"title": "T", "watch_pid": 2**31}, "watch_pid", "running process"),
    ("task.create", {"title": "T", "watch_pid": True}, "watch_pid", "running process"),
    ("task.create", {"title": "T", "lease_s": 4.9}, "lease_s", "5 to 3600 seconds"),
    ("task.create", {"title": "T", "lease_s": 3601}, "lease_s", "5 to 3600 seconds"),
    ("task.create", {"title": "T", "metadata": {"a": 1}}, "metadata", "pairs of strings"),
    ("task.create", {"title": "T", "metadata": {str(n): "" for n in range(21)}}, "metadata", "at most 20"),
    ("task.create", {"title": "T", "metadata": {"a": "x" * 1001}}, "metadata", "pairs of strings"),
    ("task.create", {"title": "T", "summary": ["x"]}, "summary", "expected text"),
    ("task.create", {"title": "T", "Steps": []}, "Steps", "expected only title, steps"),
    ("task.create", {"title": "T", "cwd": "here"}, "cwd", "an absolute path"),
    ("task.create", {"title": "T", "cwd": "/" + "x" * 4096}, "cwd", "4096 characters"),
    ("task.create", {"title": "T", "parent_task_id": "a/b"}, "parent_task_id", "letters, digits"),
    ("task.create", {"title": "T", "parent_task_id": "x" * 65}, "parent_task_id", "1 to 64"),
    ("task.create", {"title": "T", "parent_implied": 1}, "parent_implied", "true or false"),
    ("task.plan", {"task_id": "t"}, "steps", "objects with title, status"),
    ("task.plan", {"task_id": "t", "steps": "one"}, "steps", "titles"),
    ("task.plan", {"task_id": "t", "steps": [None]}, "steps", "titles"),
    ("task.plan", {"task_id": "t", "steps": ["x"] * 201}, "steps", "at most 200"),
    ("task.plan", {"task_id": "t", "steps": ["x" * 201]}, "steps", "200 characters"),
    ("task.plan", {"task_id": "t", "steps": ["\u200e\n"]}, "steps", "expected a title"),
    ("task.plan", {"task_id": "t", "steps": [{"title": "x", "state": "done"}]}, "steps", "title, status"),
    ("task.plan", {"task_id": "t", "steps": [{"title": "x", "status": "waiting"}]}, "steps", "skipped"),
    ("task.plan", {"task_id": "t", "steps": [{"title": "x", "step_id": ".."}]}, "steps", "title, status"),
    ("task.plan", {"task_id": "t", "steps": [{"title": "x", "step_id": "s"}] * 2}, "steps", "different"),
    ("task.plan", {"task_id": "t", "steps": [], "summary": "x"}, "summary", "expected only task_id, steps"),
    ("step.add", {"task_id": "t"}, "title", "1 to 200 characters"),
    ("step.add", {"task_id": "t", "title": "\u200e\n"}, "title", "visible character"),
    ("step.add", {"task_id": "t", "title": "x", "step_id": "a b"}, "step_id", "letters, digits"),
    ("step.add", {"task_id": "t", "title": "x", "step_id": "t-1"}, "step_id", "choose another"),
    ("step.add", {"task_id": "t", "title": "x", "after": 1.5}, "after", "a step's id"),
    ("task.annotate", {"task_id": "t"}, "metadata", "null to remove"),
    ("task.annotate", {"task_id": "t", "metadata": {}}, "metadata", "pairs of strings"),
    ("task.annotate", {"task_id": "t", "metadata": {"a": 1}}, "metadata", "pairs of strings"),
    ("task.annotate", {"task_id": "t", "metadata": {"": "x"}}, "metadata", "1 to 64"),
    ("task.annotate", {"task_id": "t", "metadata": {"\n": "x"}}, "metadata", "1 to 64"),
    ("task.annotate", {"task_id": "t", "metadata": {"a": "x" * 1001}}, "metadata", "at most 1000"),
    ("task.annotate", {"task_id": "t", "metadata": {str(n): "" for n in range(21)}}, "metadata", "at most 20"),
    ("task.annotate", {"task_id": "t", "metadata": {str(n): None for n in range(41)}}, "metadata", "pairs of strings"),
    ("task.link", {"task_id": "t"}, "url", "http:// or https://"),
    ("task.link", {"task_id": "t", "url": ""}, "url", "http:// or https://"),
    ("task.link", {"task_id": "t", "url": "javascript:alert(1)"}, "url", "http:// or https://"),
    ("task.link", {"task_id": "t", "url": "https://x/" + "y" * 1991}, "url", "2000 characters"),
    ("task.link", {"task_id": "t", "url": "https://x/", "name": ""}, "name", "1 to 100"),
    ("task.link", {"task_id": "t", "url": "https://x/", "name": "x" * 101}, "name", "1 to 100"),
    ("task.heartbeat", {"task_id": "t", "progress": 5}, "progress", "expected done"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {}}, "progress", "expected done"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": -1}}, "progress", "numbers from 0"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": "1"}}, "progress", "numbers from 0"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": True}}, "progress", "numbers"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": 10**19}}, "progress", "numbers"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": 1.5e308}}, "progress", "numbers"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": 1, "of": 2}}, "progress", "total"),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "progress": {"done": 1, "unit": "x" * 21}}, "progress", "20"),
    ("task.update", {"status": "done"}, "task_id", "1 to 64"),
    ("task.update", {"task_id": "t"}, "status", "running, waiting, done, failed or interrupted"),
    ("task.update", {"task_id": "t", "status": "pending"}, "status", "running, waiting, done, failed or interrupted"),
    ("task.update", {"task_id": "t", "status": "done\n"}, "status", "running, waiting, done, failed or interrupted"),
    ("task.update", {"task_id": "t", "status": "Done"}, "status", "running, waiting, done, failed or interrupted"),
    ("task.get", {"task_id": 5}, "task_id", "1 to 64"),
    ("task.list", {"active": 1}, "active", "true or false"),
    ("task.heartbeat", {"task_id": "t", "lease_s": "60"}, "lease_s", "5 to 3600"),
    ("step.update", {"task_id": "t", "status": "done"}, "step", "a step's id, its position from 1, or its title"),
    ("step.update", {"task_id": "t", "step": 1.0, "status": "done"}, "step", "a step's id, its position from 1, or its title"),
    ("step.update", {"task_id": "t", "step": None, "status": "done"}, "step", "a step's id, its position from 1, or its title"),
    (
        "step.update",
        {"task_id": "t", "step": 1, "status": "interrupted"},
        "status",
        "pending, running, done, failed or skipped",
    ),
    ("step.update", {"task_id": "t", "step": 1, "status": "done\n"}, "status", "pending, running, done, failed or skipped"),
    ("interrupt.check", {"task_id": "t", "wait_s": 301}, "wait_s", "0 to 300 seconds"),
    ("interrupt.check", {"task_id": "t", "wait_s": -1}, "wait_s", "0 to 300 seconds"),
    ("interrupt.check", {"task_id": "t", "max_age_s": -0.1}, "max_age_s", "seconds from 0"),
    ("interrupt.watch", {}, "task_id", "1 to 64"),
    ("interrupt.ack", {"task_id": "t", "interrupt_id": ""}, "interrupt_id", "the id of the stop"),
    ("agent.event", {"agent": "codex", "session_id": "s"}, "event", "session.started, prompt,"),
    ("agent.event", {"agent": "Codex", "session_id": "s", "event": "prompt"}, "agent", "small letters"),
    ("agent.event", {"agent": "codex", "session_id": "", "event": "prompt"}, "session_id", "1 to 1000"),
    ("agent.event", {"agent": "codex", "session_id": "s" * 1001, "event": "prompt"}, "session_id", "1 to 1000"),
    ("agent.event", {"agent": "codex", "session_id": "s", "event": "prompt", "at": "noon"}, "at", "2026-01-02T03:04:05.678Z"),
    ("agent.event", {"agent": "codex", "session_id": "s", "event": "prompt", "cwd": "here"}, "cwd", "an absolute path"),
    ("agent.event", {"agent": "codex", "session_id": "s", "event": "prompt", "pid": 0}, "pid", "a running process"),
    ("agent.event", {"agent": "codex", "session_id": "s", "event": "plan", "plan": ["x"]}, "plan", "objects with title"),
    ("agent.event", {"agent": "codex", "session_id": "s", "event": "prompt", "input": "x"}, "input", "expected only agent"),
    ("daemon.status", {"verbose": True}, "verbose", "expected no parameters"),
    ("daemon.flush", {"timeout_s": 3601}, "timeout_s", "0 to 3600 seconds"),
    ("deadletter.drop", {}, "event_ids", "all: true"),
    ("deadletter.retry", {"event_ids": ["x"]}, "event_ids", "as deadletter.list gives them"),
]


@pytest.mark.parametrize(
    ("method", "params", "field", "hint"),
    BAD_PARAMS,
    ids=[f"{method} {str(params)[:40]!a}" for method, params, *_ in BAD_PARAMS],
)
async def test_a_parameter_that_does_not_fit_is_named_with_what_would(
    daemon: RunningDaemon, method: str, params: dict[str, Any], field: str, hint: str
) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"])
    caller = await daemon.connect()
    reply = await exchange(caller, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    error = reply["error"]
    assert (error["code"], error["data"]["code"], error["data"]["field"]) == (-32602, "invalid_params", field)
    assert hint in error["data"]["hint"]
    assert error["message"].startswith(f"{field}: ")
    assert error["message"].endswith(error["data"]["hint"])
    assert (await daemon.call("task.get", task_id="t"))["status"] == "pending"
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == 1


@pytest.mark.parametrize(
    "step", ["9" * 5000, "9" * 20, 10**19, 0, -1, 2, "0", "x" * 60_000, "", "²"], ids=lambda s: str(s)[:12]
)
async def test_a_step_that_is_not_there_lists_the_choices_whatever_was_asked_for(
    daemon: RunningDaemon, step: int | str
) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["only"])
    caller = await daemon.connect()
    params = {"task_id": "t", "step": step, "status": "done"}
    reply = await exchange(caller, {"jsonrpc": "2.0", "id": 1, "method": "step.update", "params": params})
    assert reply["error"]["code"] == -32002
    assert reply["error"]["data"]["steps"] == [{"step_id": "t-1", "position": 1, "title": "only"}]
    assert len(reply["error"]["message"]) < 400


# ── Too large ──────────────────────────────────────────────────────────────────────────────────────────────────────


def request_of(size: int) -> bytes:
    start, end = b'{"jsonrpc":"2.0","id":1,"method":"task.list","params":{}', b"}"
    return start + b" " * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("ended", [True, False], ids=["with a line end", "without"])
async def test_a_line_over_the_bound_is_answered_after_the_earlier_replies_and_ends_the_connection(
    daemon: RunningDaemon, ended: bool
) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"])
    caller = await daemon.connect()
    update = b'{"jsonrpc":"2.0","id":%d,"method":"step.update","params":{"task_id":"t","step":1,"status":"running"}}\n'
    earlier = b"".join(update % number for number in range(20))
    await caller.send_bytes(earlier + request_of(70_000) + (b"\n" if ended else b"") + update % 99)
    replies = [json.loads(line) for line in await caller.receive_rest()]
    assert [reply["id"] for reply in replies] == [*range(20), None]
    assert replies[-1]["error"]["code"] == -32007
    assert replies[-1]["error"]["data"]["code"] == "too_large"
    assert "result" in await exchange(await daemon.connect(), STATUS)
    assert (await daemon.call("task.get", task_id="t"))["pending"] == 21


async def test_the_reply_to_a_line_over_the_bound_waits_for_those_that_are_not_there_yet(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url="http://127.0.0.1:9")
    caller = await daemon.connect()
    wait = b'{"jsonrpc":"2.0","id":"wait","method":"interrupt.check","params":{"task_id":"t","wait_s":0.3}}\n'
    await caller.send_bytes(wait + STATUS + b"\n" + request_of(70_000) + b"\n")
    replies = [json.loads(line) for line in await caller.receive_rest()]
    assert [reply["id"] for reply in replies] == ["wait", 1, None]


@pytest.mark.parametrize(("size", "fits"), [(MAX_LINE_BYTES, True), (MAX_LINE_BYTES + 1, False)])
async def test_the_bound_is_exact_over_the_unix_socket(daemon: RunningDaemon, size: int, fits: bool) -> None:
    caller = await UnixCaller.connect(daemon.socket_path)
    reply = await exchange(caller, request_of(size))
    assert ("result" in reply) is fits
    await caller.close()


@pytest.mark.parametrize(("size", "fits"), [(MAX_LINE_BYTES, True), (MAX_LINE_BYTES + 1, False), (70_000, False)])
async def test_the_bound_is_exact_over_zeromq(daemon: RunningDaemon, size: int, fits: bool) -> None:
    caller = DealerCaller(daemon.settings.zmq or "")
    reply = await exchange(caller, request_of(size))
    assert reply["result"] == {"tasks": []} if fits else reply["error"]["code"] == -32007
    assert "result" in await exchange(caller, STATUS)
    await caller.close()

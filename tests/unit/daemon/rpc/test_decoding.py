"""The quick reader takes what programs send, and nothing that the protocol's own reader would refuse or read otherwise."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawlog.protocol.jsonrpc import Request, decode
from clawlogd.errors import InvalidValue
from clawlogd.rpc.decoding import read_envelope
from clawlogd.rpc.parameters import parse
from clawlogd.rpc.routes import ROUTES
from clawlogd.verbs.fields import Params

UUID = "01890000-0000-7000-8000-000000000000"
UPDATE = {"task_id": "t", "step": "1", "status": "done", "summary": '数 :" x', "event_id": UUID}


def quickly(text: bytes) -> tuple[Any, Params] | None:
    """The id and the parameters by the quick reader, if it takes the text."""
    envelope = read_envelope(text)
    if envelope is None or (route := ROUTES.get(envelope.method)) is None:
        return None
    params = route.read(envelope, text)
    return None if params is None else (envelope.id, params)


def strictly(text: bytes) -> tuple[Any, Params] | None:
    """The same by the protocol's reader; None where it refuses."""
    message = decode(text)
    if not isinstance(message, Request) or message.method not in ROUTES:
        return None
    try:
        return message.id, parse(ROUTES[message.method].params, dict(message.params))
    except InvalidValue:
        return None


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("step.update", {"task_id": "t", "step": "1", "status": "done", "event_id": UUID}),
        ("step.update", {"task_id": "t", "step": 1, "status": "done", "summary": "数据"}),
        ("task.heartbeat", {"task_id": "t", "summary": "x"}),
        ("interrupt.check", {"task_id": "t", "max_age_s": 5}),
        ("task.create", {"title": "T"}),
        ("task.create", {"title": "T: at 12:30", "steps": ["one", "two: three"], "task_id": "t"}),
        ("daemon.status", {}),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_request_as_programs_write_it_is_taken(method: str, params: dict[str, Any], separators: tuple[str, str]) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    text = json.dumps(message, separators=separators, ensure_ascii=False).encode()
    assert quickly(text) is not None
    assert quickly(text) == strictly(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a","task_id":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a","task_id" :"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a","task\\u005fid":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"a","title":"b","title":"c"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"a","title":"b","metadata":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"a","steps":[],"steps":["b"]}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"task.get","params":{"task_id":"a"}}',
        b'{"jsonrpc":"2.0","id":123456789012345678901,"method":"task.get","params":{"task_id":"a"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a","more":1}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a"}} x',
        b'{"jsonrpc":"2.0","id":true,"method":"task.get","params":{"task_id":"a"}}',
        b'{"jsonrpc":"2.0","method":"task.get","params":{"task_id":"a"}}',
        b'{"jsonrpc":"1.0","id":1,"method":"task.get","params":{"task_id":"a"}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"a"}}]',
        b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"a","max_age_s":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"a","max_age_s":1e400}}',
        b"\xff",
        b"",
    ],
)
def test_what_is_doubtful_is_left_to_the_protocols_reader(text: bytes) -> None:
    assert quickly(text) is None


_names = st.sampled_from(["task_id", "step", "status", "summary", "event_id", "wait_s", "max_age_s", "title", "steps", "more"])
_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["t", "1", "done", UUID, 'a":b', ["b"], []]),
)


@settings(max_examples=300)
@given(
    method=st.sampled_from(["step.update", "task.heartbeat", "interrupt.check", "task.get", "task.create"]),
    members=st.lists(st.tuples(_names, _values), max_size=7),
    gap=st.sampled_from(["", " ", "\t", "  "]),
    request_id=st.one_of(st.integers(), st.text(max_size=4), st.none()),
)
def test_both_readers_agree_on_whatever_the_quick_one_takes(
    method: str, members: list[tuple[str, Any]], gap: str, request_id: Any
) -> None:
    params = ",".join(f"{json.dumps(name)}{gap}:{json.dumps(value)}" for name, value in members)
    text = f'{{"jsonrpc":"2.0","id":{json.dumps(request_id)},"method":"{method}","params":{{{params}}}}}'.encode()
    taken = quickly(text)
    if taken is not None:
        assert msgspec.to_builtins(taken[1]) == msgspec.to_builtins(strictly(text)[1])  # type: ignore[index]
        assert taken[0] == request_id

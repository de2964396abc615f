from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog.protocol import errors, jsonrpc
from clawlog.protocol.errors import RpcError
from clawlog.protocol.jsonrpc import Malformed, ParsedBatch, Request, Response


def refusal(line: bytes) -> Malformed:
    message = jsonrpc.decode(line)
    assert isinstance(message, Malformed)
    return message


def test_reads_a_request() -> None:
    line = '{"jsonrpc":"2.0","id":"a","method":"task.get","params":{"task_id":"部"}}'.encode()
    assert jsonrpc.decode(line) == Request("task.get", {"task_id": "部"}, "a")


@pytest.mark.parametrize("request_id", [0, 7, -1, 1.5, "x", "", None])
def test_any_scalar_is_an_id(request_id: object) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "m"}).encode()
    assert jsonrpc.decode(line) == Request("m", {}, request_id)


def test_without_an_id_it_is_a_notification() -> None:
    assert jsonrpc.decode(b'{"jsonrpc":"2.0","method":"m"}') == Request("m", {}, None, is_notification=True)


def test_reads_a_batch_with_its_broken_members() -> None:
    batch = jsonrpc.decode(b'[{"jsonrpc":"2.0","id":1,"method":"m"}, 5, {"jsonrpc":"2.0","method":"n"}]')
    assert isinstance(batch, ParsedBatch)
    first, second, third = batch.messages
    assert first == Request("m", {}, 1)
    assert isinstance(second, Malformed)
    assert third == Request("n", {}, None, is_notification=True)


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"", errors.PARSE_ERROR, None),
        (b"{", errors.PARSE_ERROR, None),
        (b"\xff", errors.PARSE_ERROR, None),
        (b'{"a":1} x', errors.PARSE_ERROR, None),
        (b"5", errors.INVALID_REQUEST, None),
        (b"[]", errors.INVALID_REQUEST, None),
        (b'{"id":1,"method":"m"}', errors.INVALID_REQUEST, 1),
        (b'{"jsonrpc":"1.0","id":1,"method":"m"}', errors.INVALID_REQUEST, 1),
        (b'{"jsonrpc":"2.0","id":1}', errors.INVALID_REQUEST, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', errors.INVALID_REQUEST, 1),
        (b'{"jsonrpc":"2.0","id":true,"method":"m"}', errors.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"m"}', errors.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","parms":{}}', errors.INVALID_REQUEST, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}', errors.INVALID_PARAMS, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":null}', errors.INVALID_PARAMS, 1),
    ],
)
def test_what_is_no_request_is_told_why(line: bytes, code: int, request_id: object) -> None:
    malformed = refusal(line)
    assert (malformed.error.code, malformed.id) == (code, request_id)
    assert malformed.error.message


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b"1e999", "beyond a double"),
        (b"1" * 5000, "integer of 5000 digits"),
        (b'{"a":1,"a":2}', "'a' occurs twice"),
        (b'"\\ud800"', "lone surrogate"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_cannot_be_passed_on_unharmed_is_refused(value: bytes, complaint: str) -> None:
    malformed = refusal(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":' + value + b"}}")
    assert malformed.error.code == errors.PARSE_ERROR
    assert complaint in malformed.error.message


def test_a_surrogate_pair_is_text() -> None:
    assert jsonrpc.loads(b'"\\ud83d\\ude80"') == "🚀"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_nothing_is_written_that_would_be_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jsonrpc.dumps(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON), st.text() | st.integers(-(2**63), 2**63))
def test_a_request_survives_the_wire(params: dict[str, object], request_id: str | int) -> None:
    line = jsonrpc.encode_request("m", params, request_id)
    assert b"\n" not in line
    assert jsonrpc.decode(line) == Request("m", params, request_id)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(line: bytes) -> None:
    jsonrpc.decode(line)


def test_reads_replies_errors_and_notifications() -> None:
    assert jsonrpc.decode_reply(b'{"jsonrpc":"2.0","id":1,"result":null}') == Response(1, None)
    error = RpcError(errors.UNKNOWN_STEP, "no", steps=["a"])
    heard = jsonrpc.decode_reply(jsonrpc.encode_error(1, error))
    assert isinstance(heard, Response)
    assert heard.error is not None
    assert (heard.error.code, heard.error.name, heard.error.data) == (errors.UNKNOWN_STEP, "unknown_step", error.data)
    told = jsonrpc.decode_reply(jsonrpc.encode_notification("interrupt.changed", {"a": 1}))
    assert told == Request("interrupt.changed", {"a": 1}, None, is_notification=True)


@pytest.mark.parametrize("line", [b"[]", b"x", b'{"method":"m"}'])
def test_what_is_neither_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jsonrpc.decode_reply(line)


def test_bad_params_name_the_field_and_what_would_fit() -> None:
    error = errors.invalid_params("title", "300 characters", "1 to 200 are taken")
    assert error.as_member() == {
        "code": -32602,
        "message": "title: 300 characters; 1 to 200 are taken",
        "data": {"code": "invalid_params", "field": "title", "hint": "1 to 200 are taken"},
    }


def test_a_code_of_a_later_version_has_a_name_as_well() -> None:
    assert RpcError(-32099, "new").name == "unknown"

"""Replies that are written around a result's own bytes are what the protocol's encoder would write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog.protocol.jsonrpc import Request, RequestId, dumps
from clawlogd.rpc.replies import encode, encode_batch, encode_result

_ids: st.SearchStrategy[RequestId] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
_results = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])), st.one_of(st.none(), st.booleans(), st.integers(0, 9))
)


@given(request_id=_ids, result=_results)
def test_a_result_reads_back_as_the_protocols_encoder_writes_it(request_id: RequestId, result: dict[str, Any]) -> None:
    message = encode_result(Request("task.get", {}, request_id), encode(result))
    assert message is not None
    assert json.loads(message) == json.loads(dumps({"jsonrpc": "2.0", "id": request_id, "result": result}))


@pytest.mark.parametrize("request_id", [0, -7, 2**64, "", "部署", '"\\', None, 1.5])
def test_a_result_is_the_same_bytes_as_the_protocols_encoder_writes(request_id: RequestId) -> None:
    result = {"tasks": [{"title": "部署"}], "accepted": True, "age_s": 0.25}
    message = encode_result(Request("task.get", {}, request_id), encode(result))
    assert message == dumps({"jsonrpc": "2.0", "id": request_id, "result": result})


def test_a_batch_is_the_same_bytes_as_the_protocols_encoder_writes() -> None:
    replies = [{"jsonrpc": "2.0", "id": number, "result": {}} for number in range(3)]
    assert encode_batch([dumps(each) for each in replies]) == dumps(replies)
    assert encode_batch([]) is None


def test_a_notification_has_no_reply() -> None:
    assert encode_result(Request("task.get", {}, None, is_notification=True), b"{}") is None

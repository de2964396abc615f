"""Every parameter of every verb can be explained to a caller who got it wrong."""

from __future__ import annotations

import msgspec
import pytest

from clawlog.protocol.errors import INVALID_PARAMS, RpcError
from clawlogd.rpc.dispatcher import VERBS
from clawlogd.verbs.params import Params, parse

FIELDS = sorted({(verb.params, field) for verb in VERBS.values() for field in verb.params.__struct_fields__}, key=str)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_a_value_of_no_possible_type_is_answered_with_a_hint_of_its_own(kind: type[Params], field: str) -> None:
    required = {each.name: "done" for each in msgspec.structs.fields(kind) if each.required}
    with pytest.raises(RpcError) as refused:
        parse(kind, {**required, field: object()})
    error = refused.value
    assert (error.code, error.data["field"]) == (INVALID_PARAMS, field)
    hint = str(error.data["hint"])
    assert hint.startswith("expected ")
    assert error.message.endswith(hint)
    assert "`" not in error.message
    assert "regex" not in error.message


def test_params_that_are_no_object_are_refused_whole() -> None:
    with pytest.raises(RpcError) as refused:
        parse(VERBS["daemon.status"].params, [])
    assert refused.value.data["field"] == "params"

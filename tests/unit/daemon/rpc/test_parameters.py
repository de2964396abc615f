"""Every parameter of every verb can be explained to a caller who got it wrong."""

from __future__ import annotations

import msgspec
import pytest

from clawlogd.errors import InvalidValue
from clawlogd.rpc.parameters import parse
from clawlogd.verbs.catalogue import VERBS
from clawlogd.verbs.fields import NoParams, Params

FIELDS = sorted({(verb.params, field) for verb in VERBS for field in verb.params.__struct_fields__}, key=str)
FITTING: dict[str, object] = {"metadata": {"key": "value"}, "steps": [], "event": "prompt"}


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_a_value_of_no_possible_type_is_answered_with_a_hint_of_its_own(kind: type[Params], field: str) -> None:
    required = {each.name: FITTING.get(each.name, "done") for each in msgspec.structs.fields(kind) if each.required}
    with pytest.raises(InvalidValue) as refused:
        parse(kind, {**required, field: object()})
    error = refused.value
    assert error.field == field
    assert error.hint.startswith("expected ")
    assert str(error).endswith(error.hint)
    assert "`" not in str(error)
    assert "regex" not in str(error)


def test_params_that_are_no_object_are_refused_whole() -> None:
    with pytest.raises(InvalidValue) as refused:
        parse(NoParams, [])
    assert refused.value.field == "params"

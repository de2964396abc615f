"""The types of parameters that several verbs share, each with its bounds and a hint that says what would fit.

Unknown names are refused, so that a typo is never dropped. A field's hint is part of its type, beside its bounds: the answer to
a value that does not fit contains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar, get_args

import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.summary import one_line
from clawlogd.model import Progress


def hint(text: str) -> Meta:
    """Annotates a field's type with what would fit: for whoever gave what does not, and for the protocol's OpenRPC document."""
    return Meta(description=text)


def one_of(words: Sequence[str]) -> str:
    """The hint for a closed set of words."""
    return f"expected {', '.join(words[:-1])} or {words[-1]}"


_ID_HINT = hint(vocabulary.ID_HINT)
EVENT_ID_HINT = "expected a UUID, minted once by the caller"

Id = Annotated[str, Meta(pattern=vocabulary.ID_PATTERN), _ID_HINT]
KnownId = Annotated[str, _ID_HINT]
"""The id of something that exists: one that nothing could have is refused when it is looked up."""
EventId = Annotated[str, hint(EVENT_ID_HINT)]
"""A UUID, whose form is checked where it is turned into bytes."""
Title = Annotated[
    str,
    Meta(min_length=1, max_length=vocabulary.MAX_TITLE_CHARS),
    hint(f"expected 1 to {vocabulary.MAX_TITLE_CHARS} characters"),
]
SummaryText = Annotated[str, hint("expected text")]
Lease = Annotated[
    float,
    Meta(ge=vocabulary.MIN_LEASE_S, le=vocabulary.MAX_LEASE_S),
    hint(f"expected {vocabulary.MIN_LEASE_S:g} to {vocabulary.MAX_LEASE_S:g} seconds"),
]
Pid = Annotated[int, Meta(ge=1, le=2**31 - 1), hint("expected the number of a running process")]
Flag = Annotated[bool, hint("expected true or false")]
StepName = Annotated[int | str, hint("expected a step's id, its position from 1, or its title")]
"""A step that exists, as callers may name it."""
Key = Annotated[str, Meta(min_length=1, max_length=vocabulary.MAX_METADATA_KEY_CHARS)]
Value = Annotated[str, Meta(max_length=vocabulary.MAX_METADATA_CHARS)]

_INTEGER_BOUND = 2**63 - 1
Amount = Annotated[int, Meta(ge=0, le=_INTEGER_BOUND)] | Annotated[float, Meta(ge=0, le=vocabulary.MAX_AMOUNT)]
"""A number of things, which stays an integer where it was one."""


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far something has come, as a caller counts it.

    Attributes:
        done: How many are done.
        total: How many there are, where that is known.
        unit: Of what.
    """

    done: Amount
    total: Amount | None = None
    unit: Annotated[str, Meta(max_length=vocabulary.MAX_UNIT_CHARS)] | None = None

    def as_progress(self) -> Progress:
        """The same, as it is kept."""
        return Progress(self.done, self.total, one_line(self.unit) or None if self.unit else None)


ProgressParam = Annotated[
    Measure,
    hint(
        "expected done and, if known, total: numbers from 0; "
        f"and perhaps unit, of at most {vocabulary.MAX_UNIT_CHARS} characters"
    ),
]


Folder = Annotated[
    str,
    Meta(pattern=r"\A/", max_length=vocabulary.MAX_PATH_CHARS),
    hint(f"expected an absolute path of at most {vocabulary.MAX_PATH_CHARS} characters"),
]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The named parameters of a verb."""


P = TypeVar("P", bound=Params)


class NoParams(Params, frozen=True):
    """None at all."""


class TaskChoice(Params, frozen=True):
    """A task, and nothing more."""

    task_id: KnownId


def hint_of(kind: type[Params], field: str) -> str | None:
    """What would fit in a field, as the answer to a bad value says it; None where there is no such field."""
    found = next((each.type for each in msgspec.structs.fields(kind) if each.encode_name == field), None)
    return None if found is None else _hint_in(found)


def _hint_in(annotated: object) -> str | None:
    """The outermost hint: that of a list before that of its items."""
    for meta in getattr(annotated, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description is not None:
            return meta.description
    for part in get_args(annotated):
        if (text := _hint_in(part)) is not None:
            return text
    return None

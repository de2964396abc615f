"""The fast path in: a request as programs usually write it, read straight into typed values.

msgspec reads JSON many times as fast as the standard library and refuses the same malformed texts, but for two: it takes the
last of two members with the same name, and integers of any length. So a text counts as read only when the number of its names
shows that no name stands there twice, and its id is no long integer (a parameter is bounded by its type, or names something
that must exist). Every other text (a batch, a notification, one with a mistake) is left to the protocol's own reader, which
decides, and explains what is wrong.
"""

from __future__ import annotations

from operator import is_not
from typing import ClassVar, Generic, Literal

import msgspec

from clawlogd.verbs.fields import P

_NAME_END = b'":'
"""What each name ends in, where no white space is before a colon. Where a string ends so, too, there seem to be more."""

_ENVELOPE_NAMES = 4
_INTEGER_BOUND = 10**18
_REQUIRED = object()
_values_of = msgspec.structs.astuple


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A request with all four members, its parameters unread."""

    jsonrpc: Literal["2.0"]
    id: int | str
    method: str
    params: msgspec.Raw

    is_notification: ClassVar[bool] = False


_decode_envelope = msgspec.json.Decoder(Envelope).decode


def read_envelope(text: bytes) -> Envelope | None:
    """The request in a text; None when it is left to the protocol's reader."""
    try:
        envelope = _decode_envelope(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if type(envelope.id) is int and not -_INTEGER_BOUND < envelope.id < _INTEGER_BOUND:
        return None
    return envelope


class ParamsReader(Generic[P]):
    """Reads one verb's parameters.

    Args:
        kind: Their type.
    """

    def __init__(self, kind: type[P]) -> None:
        fields = msgspec.structs.fields(kind)
        self._decode = msgspec.json.Decoder(kind).decode
        self._defaults = [_REQUIRED if field.default is msgspec.NODEFAULT else field.default for field in fields]
        self._made_anew = [field.name for field in fields if field.default_factory is not msgspec.NODEFAULT]
        self._fewest = _ENVELOPE_NAMES + sum(field.required for field in fields)

    def read(self, envelope: Envelope, text: bytes) -> P | None:
        """The parameters of a request; None when it is left to the protocol's reader.

        Args:
            envelope: The request.
            text: The text that it was read from.
        """
        try:
            params = self._decode(envelope.params)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        # As many members were read as the text has colons, or at least names: so no name is there twice.
        colons = text.count(b":")
        if colons == self._fewest:
            return params
        members = _ENVELOPE_NAMES + sum(map(is_not, _values_of(params), self._defaults))
        for name in self._made_anew:  # an empty list may be the default, and need not have been given
            members -= not getattr(params, name)
        return params if colons == members or _count_names(text, colons) == members else None


def _count_names(text: bytes, colons: int) -> int | None:
    """How many names a text has; None where there is white space before a colon, so that they cannot be counted."""
    names = text.count(_NAME_END)
    return None if names != colons and any(piece.startswith(b":") for piece in text.split()) else names

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

NAME_END = b'":'
"""What each member's name ends in, in a text that ``read_envelope`` reads: within a string the quotation mark is escaped."""

_ENVELOPE_NAMES = 4
_INTEGER_BOUND = 10**18
_REQUIRED = object()


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A request with all four members, its parameters unread."""

    jsonrpc: Literal["2.0"]
    id: int | str
    method: str
    params: msgspec.Raw

    is_notification: ClassVar[bool] = False


_decode_envelope = msgspec.json.Decoder(Envelope).decode


def read_envelope(text: bytes, names: int) -> Envelope | None:
    """The request in a text; None when it is left to the protocol's reader.

    Args:
        text: The text.
        names: How many names are in it.
    """
    try:
        envelope = _decode_envelope(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    # A name ends in a quotation mark and a colon; where there is white space between the two, names cannot be counted.
    if text.count(b":") != names and any(piece.startswith(b":") for piece in text.split()):
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
        self._decode = msgspec.json.Decoder(kind).decode
        # A default that is made anew each time counts as given: a text without it goes to the protocol's reader.
        self._defaults = [
            _REQUIRED if field.default is msgspec.NODEFAULT else field.default for field in msgspec.structs.fields(kind)
        ]

    def read(self, envelope: Envelope, names: int) -> P | None:
        """The parameters of a request in a text with so many names; None when the text is left to the protocol's reader."""
        try:
            params = self._decode(envelope.params)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        given = sum(map(is_not, msgspec.structs.astuple(params), self._defaults))
        # The text has as many names as members were read: so no name is there twice.
        return params if names == _ENVELOPE_NAMES + given else None

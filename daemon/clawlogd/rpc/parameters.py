"""Reads a verb's parameters from decoded JSON, and explains to a caller what does not fit.

``decoding`` has the faster way, which leaves everything that does not fit to this one.
"""

from __future__ import annotations

import msgspec

from clawlog.protocol import ids
from clawlogd.errors import InvalidValue
from clawlogd.verbs.fields import EVENT_ID_HINT, P, Params, hint_of

_NO_HINT = "see the protocol's table of methods"


def parse(kind: type[P], given: object) -> P:
    """Reads a verb's parameters.

    Raises:
        InvalidValue: Something does not fit; it names the field and what would fit.
    """
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _explain(kind, error) from None


def event_id_bytes(text: str) -> bytes:
    """The 16 bytes of an event id.

    Raises:
        InvalidValue: It is no UUID.
    """
    try:
        return ids.uuid_bytes(text)
    except ValueError:
        raise InvalidValue("event_id", "does not fit", EVENT_ID_HINT) from None


def _explain(kind: type[Params], error: msgspec.ValidationError) -> InvalidValue:
    message, _, at = str(error).partition(" - at `$")
    if not at:  # of a member of a pair: "at `key` in `$.metadata`"
        message, _, at = message.partition(" - at `key` in `$")
    path = at.rstrip("`").lstrip(".").split("[")[0].split(".")[0]
    quoted = message.split("`")[1] if "`" in message else ""
    accepted = f"expected only {', '.join(kind.__struct_fields__)}" if kind.__struct_fields__ else "expected no parameters"
    if "unknown field" in message:
        if path:
            return InvalidValue(path, f"has an unknown member {quoted!r}", hint_of(kind, path) or accepted)
        return InvalidValue(quoted, "is not a parameter of this method", accepted)
    if "missing required field" in message and not path:
        return InvalidValue(quoted, "is missing", hint_of(kind, quoted) or _NO_HINT)
    if not path:
        return InvalidValue("params", message, accepted)
    return InvalidValue(path, _plain(message), hint_of(kind, path) or _NO_HINT)


def _plain(message: str) -> str:
    return "does not fit" if "regex" in message or "enum" in message else message[0].lower() + message[1:].replace("`", "")

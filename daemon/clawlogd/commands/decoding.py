"""A quick reader for the messages that programs usually send, as strict as the protocol's own.

msgspec reads JSON eight times as fast as the standard library and refuses the same malformed texts, but for one: it takes the
last of two members with the same name. So a text counts as read only when the number of its names shows that there are none;
every other text, and every text that msgspec refuses, goes to the protocol's reader, which has the last word.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clawlog.protocol import jsonrpc

_decode = msgspec.json.Decoder().decode


def loads(text: bytes) -> Any:
    """Reads a message.

    Raises:
        ValueError: As ``clawlog.protocol.jsonrpc.loads``.
    """
    try:
        value = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return jsonrpc.loads(text)
    return value if _names_differ(text, value) else jsonrpc.loads(text)


def _names_differ(text: bytes, value: object) -> bool:
    """Whether a flat request surely has no name twice: as many names are written as were read."""
    if type(value) is not dict:
        return False
    names = len(value)
    params = value.get("params")
    if type(params) is dict:
        for each in params.values():
            if type(each) is dict or type(each) is list:
                return False
        names += len(params)
    # A name ends in a quotation mark and a colon; one with white space between the two is left to the other reader.
    return text.count(b'":') == names and b'" ' not in text and b'"\t' not in text and b'"\n' not in text and b'"\r' not in text

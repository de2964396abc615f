"""The commands' door for texts from outside: whatever a daemon or a backend answers is cleaned before it is shown.

A daemon cleans what it hands on; one of an earlier version does not, and a backend may be anything.
"""

from __future__ import annotations

import re

from clawlog.protocol.summary import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:  # what loads this counts its milliseconds
    from typing import Any

_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def cleaned(value: Any) -> Any:
    """Returns a decoded answer with each of its texts, names of members included, as one clean line.

    Raises:
        RecursionError: It is nested too deeply.
    """
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {one_line(name): cleaned(member) for name, member in value.items()}
    if isinstance(value, list):
        return [cleaned(member) for member in value]
    return value


def escaped(document: str) -> str:
    """Returns a JSON document with what could control a terminal, or cannot be encoded, as JSON's own escapes."""
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found.group()):04x}", document)

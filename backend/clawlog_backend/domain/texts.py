"""The one door for texts from outside: makes any text one line that can be encoded, printed, logged and bound.

The backend may not import the client's ``protocol.summary``, which has the same rules: a test holds the two equal.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # an ANSI control sequence, whole
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # an operating system command, such as a terminal's title
    r"|\x1b."  # another escape
)
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_SPACES = re.compile(r"\s{2,}")


def one_line(text: str) -> str:
    """The text as one line: escape sequences are removed; what no text may hold becomes a space.

    That is: control characters (a NUL is no text to PostgreSQL), line breaks, what turns the direction of writing, surrogates.
    """
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _SPACES.sub(" ", _CONTROLS.sub(" ", _ESCAPES.sub("", text))).strip()

"""The one door for texts from outside: makes any text one line that can be encoded, printed, logged and bound.

The backend may not import the client's ``protocol.summary``, which has the same rules: a test holds the two equal.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

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


def web_address(text: str) -> str:
    """The text, if it is the address of a page that a person can safely be offered to open.

    Raises:
        ValueError: It is not http or https, names no host, holds credentials, or has characters that no address has.
    """
    text = text.strip()
    if one_line(text) != text or not text.isprintable() or set(text) & set(' \\"<>'):
        raise ValueError("an address has no spaces, control characters, quotes, backslashes or angle brackets")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError as error:
        raise ValueError(f"not an address: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("expected an address that begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not hold a user name or a password: it is shown to everybody")
    return text

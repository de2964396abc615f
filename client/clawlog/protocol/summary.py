"""The one door for texts: makes any text one line that can be encoded, printed, logged and bound, and a summary short as well.

Both sides use it: the daemon on every text that it takes from callers, backends, files and its environment, a client on what it
writes to the spool and on what it shows.
"""

from __future__ import annotations

import re

MASK = "[masked]"

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # an ANSI control sequence, whole
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # an operating system command, such as a terminal's title
    r"|\x1b."  # another escape
)
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
"""Control characters, line ends, what turns the direction of writing, and surrogates, which no encoding can hold."""
_SPACES = re.compile(r"\s{2,}")

_CREDENTIALS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
    r"|Bearer(?<!\wBearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|Basic(?<!\wBasic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|sk-(?<!\wsk-)[A-Za-z0-9_-]{12,}"
    r"|gh[pousr]_(?<!\wgh._)[A-Za-z0-9]{16,}"
    r"|github_pat_(?<!\wgithub_pat_)[A-Za-z0-9_]{20,}"
    r"|glpat-(?<!\wglpat-)[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-(?<!\wxox.-)[A-Za-z0-9-]{10,}"
    r"|A[KS]IA(?<!\wA.IA)[0-9A-Z]{16}\b"
    r"|[aA](?<!\w[aA])(?i:ws_secret_access_key\s*[=:]\s*\S+)"
    r"|eyJ(?<!\weyJ)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
"""Each begins with letters of its own and looks back only after them, so that most of a text is skipped quickly."""


def one_line(text: str) -> str:
    """Returns the text as one line: escape sequences are removed; what no text may hold becomes a space.

    That is: control characters, line breaks, what turns the direction of writing, and lone surrogates.

    An escape within a credential must leave no gap in it, or the credential would not be recognised.
    """
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _SPACES.sub(" ", _CONTROLS.sub(" ", _ESCAPES.sub("", text))).strip()


def any_line(value: object, max_chars: int) -> str:
    """Returns whatever came as one line of bounded length: a server's words, an exception's, a value of an unexpected kind.

    Args:
        value: A text, or anything else, of which its usual form is taken.
        max_chars: Where the line is cut.
    """
    try:
        text = value if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a list within a list within …
        text = f"({type(value).__name__} that cannot be written)"
    # Cut before it is cleaned, too: a text of megabytes must not be searched for what would be cut off.
    return one_line(text[: max_chars * 4])[:max_chars]


def mask_credentials(text: str) -> str:
    """Returns the text with everything that looks like a credential replaced by ``[masked]``."""
    return _CREDENTIALS.sub(MASK, text)


def clean(text: str, *, max_chars: int, mask: bool = True) -> tuple[str, bool]:
    """Makes a summary fit to be stored and shown.

    Args:
        text: The caller's text.
        max_chars: Where it is cut, in code points; the last of them becomes ``…``.
        mask: Whether to mask what looks like a credential.

    Returns:
        The summary, and whether it was cut.
    """
    line = one_line(text)
    if mask:
        line = mask_credentials(line)
    if len(line) <= max_chars:
        return line, False
    return line[: max_chars - 1].rstrip() + "…", True

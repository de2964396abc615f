"""Makes a summary one short line, without control characters and without credentials.

Both sides use it: the daemon on every summary that it accepts, a client on those that it writes to the spool.
"""

from __future__ import annotations

import re

MASK = "[masked]"

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # an ANSI control sequence, whole
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # an operating system command, such as a terminal's title
    r"|\x1b."  # another escape
)
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Control characters, line ends, and what turns the direction of writing."""
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
    """Returns the text as one line: escape sequences are removed; control characters and line breaks become spaces.

    An escape within a credential must leave no gap in it, or the credential would not be recognised.
    """
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _SPACES.sub(" ", _CONTROLS.sub(" ", _ESCAPES.sub("", text))).strip()


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

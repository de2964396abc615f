"""The one door for texts from outside: of callers, backends, files and the environment.

What has come through it is one line that can be encoded, printed, logged and bound; no code behind it looks again. The rules
themselves belong to the protocol (``clawlog.protocol.summary``), because a client applies them too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from clawlog.protocol.summary import any_line, clean, one_line


class SummaryRules(Protocol):
    """What becomes of a summary; the settings' section ``summary`` is one."""

    @property
    def max_chars(self) -> int:
        """Where it is cut, in code points."""
        ...

    @property
    def mask_credentials(self) -> bool:
        """Whether what looks like a credential is masked."""
        ...


def clean_summary(text: str | None, rules: SummaryRules) -> tuple[str | None, bool]:
    """Makes a caller's summary fit to be kept.

    Args:
        text: As the caller gave it.
        rules: Those in force now.

    Returns:
        One line, None where nothing is left; and whether it was cut.
    """
    if text is None:
        return None, False
    line, truncated = clean(text, max_chars=rules.max_chars, mask=rules.mask_credentials)
    return line or None, truncated


def clean_title(text: str) -> str:
    """A caller's title as one line; empty where it holds nothing that can be shown."""
    return one_line(text)


def clean_text(value: object, max_chars: int) -> str:
    """Whatever came as one line of bounded length: a backend's words, an exception's, a value of an unexpected kind.

    Args:
        value: A text, or anything else, of which its usual form is taken.
        max_chars: Where the line is cut.
    """
    return any_line(value, max_chars)


def clean_word(value: object, max_chars: int) -> str | None:
    """An id or another word that is passed back as it came: None where the door would have to change it."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int) and abs(value) >= 10**max_chars:
        return None
    text = str(value)
    return text if 0 < len(text) <= max_chars and one_line(text) == text else None


def path_text(path: Path | str) -> str:
    """A path to be shown; bytes in it that are no text are shown as escapes."""
    return one_line(os.fsencode(path).decode("utf-8", "backslashreplace"))

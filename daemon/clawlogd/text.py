"""Texts from outside: every summary and title of a caller is cleaned here, and only here, before it is kept.

The rules themselves belong to the protocol (``clawlog.protocol.summary``), because a client applies them too when it writes a
call to the spool.
"""

from __future__ import annotations

from typing import Protocol

from clawlog.protocol.summary import clean, one_line


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

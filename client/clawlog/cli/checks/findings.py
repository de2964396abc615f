"""What a look at one thing brings back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for long."""
    FAULT = "fault"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What, in one word.
        verdict: How it is.
        found: What was found.
        advice: What to do; nothing where nothing is wrong.
    """

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """It works, but."""
    return Finding(check, Verdict.WARNING, found, advice)


def fault(check: str, found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, Verdict.FAULT, found, advice)

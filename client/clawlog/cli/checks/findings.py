"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result in one word."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for much longer."""
    FAULT = "fault"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The check's name, one word.
        verdict: The result.
        found: What was found.
        advice: How to fix it; empty where nothing is wrong.
    """

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Returns a finding without a problem."""
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Returns a finding that needs attention."""
    return Finding(check, Verdict.WARNING, found, advice)


def fault(check: str, found: str, advice: str) -> Finding:
    """Returns a finding about something that does not work."""
    return Finding(check, Verdict.FAULT, found, advice)

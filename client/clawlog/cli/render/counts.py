"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, verb: str = "") -> str:
    """Returns a number with its noun and verb: ``1 event waits``, ``2,000 events wait``.

    Args:
        number: The number.
        noun: The noun in the singular.
        verb: A regular verb in the plural: ``wait``.
    """
    one = number == 1
    text = f"{number:,} {noun}" if one else f"{number:,} {noun}s"
    return text if not verb else f"{text} {verb}{'s' if one else ''}"

"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, verb: str = "") -> str:
    """A number with what it counts and what that does: ``1 event waits``, ``2,000 events wait``.

    Args:
        number: How many.
        noun: What, as of one.
        verb: What several do, where it is regular: ``wait``.
    """
    one = number == 1
    said = f"{number:,} {noun}" if one else f"{number:,} {noun}s"
    return said if not verb else f"{said} {verb}{'s' if one else ''}"

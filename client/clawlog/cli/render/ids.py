"""How tasks are named in lists: by their ids' last characters, as many as tell them apart.

It must stay light: a completion loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

SHORTEST = 4
LISTED_CHARS = 8
"""How many of an id's last characters stand before a line about one of several tasks."""


def chars(task_ids: Sequence[str]) -> int:
    """Returns how many last characters keep these ids distinct."""
    ordered = sorted(each[::-1] for each in task_ids)
    return max(SHORTEST, *(_shared_chars(one, other) + 1 for one, other in pairwise(ordered)), 0)


def short(task_id: str, count: int) -> str:
    """Returns an id's last characters: at least so many, and none that a command line would take for a flag."""
    while task_id[-count:].startswith("-") and count < len(task_id):
        count += 1
    return task_id[-count:]


def _shared_chars(one: str, other: str) -> int:
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))

"""How many tasks there are of each standing: read once, then kept by what each change adds and takes away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from clawlog_backend.domain.standing import state_counts
from clawlog_backend.domain.views import StateCounts
from clawlog_backend.storage.changes import Change


class TaskCounts:
    """The counts. To be made to follow the log from where they were read."""

    def __init__(self) -> None:
        self._tally: Counter[str] = Counter()

    def begin_with(self, tally: Mapping[str, int]) -> None:
        """Take the counts that were read."""
        self._tally = Counter(tally)

    def add(self, change: Change) -> None:
        """Take in a change."""
        for key, number in change.counts.items():
            self._tally[key] += number
            if not self._tally[key]:
                del self._tally[key]

    def tally(self) -> dict[str, int]:
        """How many tasks there are of each standing now, by its key: a copy, for another thread."""
        return dict(self._tally)

    def states(self) -> StateCounts:
        """How many tasks are in each state now."""
        return state_counts(self._tally)

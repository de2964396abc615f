"""Who looks when at which task for whether its agent fell silent: without a walk over all tasks, and without an index of signs.

A task is looked at when its last sign grows old, unless it was heard of by then: so one that goes on costs no look. A look is
by the task's number, together with those of all others that are due. Of a change that another replica made it is not known
when its tasks' signs grow old: they are looked at soon.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from clawlog_backend.domain.fields import FALLS_SILENT, Liveness
from clawlog_backend.domain.state import STALE_AFTER_MS, liveness, settles_next, silent_since, stale_from
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import schema
from clawlog_backend.storage.changes import Change

_SIGNS = ("agent_seen_ms", "vouched_ms", "sign_ms", "evidence", "stalled")
_LOOKS: Any = select(
    *(schema.tasks.c[name] for name in ("n", "status", "lost", "no_signal_since", "doubtful")),
    *(schema.liveness.c[name] for name in _SIGNS),
).join_from(schema.tasks, schema.liveness)


class SilenceWatch:
    """Knows which tasks are to be looked at when."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}
        # The tasks again, the first that may be due at the front. One that was heard of stays in its place until it is there;
        # ``_places`` says of which entry a task is looked at, where it has several.
        self._queue: list[tuple[int, int]] = []
        self._places: dict[int, int] = {}

    def heard(self, change: Change) -> None:
        """These tasks were heard of."""
        settles = change.settles
        for n in change.tasks:
            due = settles.get(n, 0)
            if due is None:
                self._due.pop(n, None)
            else:
                self._look_at(n, due)

    def begin_with(self, numbers: Iterable[int]) -> None:
        """Look at these tasks at first."""
        for n in numbers:
            self._look_at(n, 0)

    def take_due(self, now: UtcMs, limit: int) -> dict[int, int]:
        """The tasks that are to be looked at now, with since when, at most ``limit``; they are not watched any longer."""
        taken: dict[int, int] = {}
        while self._queue and self._queue[0][0] <= now and len(taken) < limit:
            place, n = heapq.heappop(self._queue)
            if self._places.get(n) != place:
                continue
            del self._places[n]
            due = self._due.pop(n, None)
            if due is None:
                continue
            if due <= now:
                taken[n] = due
            else:
                self._look_at(n, due)
        return taken

    def looked(self, taken: Mapping[int, int], rows: Iterable[Row[Any]], now: UtcMs) -> list[int]:
        """Go on watching tasks that were taken and read; returns those to settle, or that have become stale just now."""
        settling = []
        for row in rows:
            since = silent_since(row, now)
            doubtful = liveness(row, now) in {Liveness.QUIET, Liveness.STALLED}
            # Stale is a matter of time alone, and stored nowhere: told by the one look that was due just then.
            has_become_stale = since is not None and taken[row.n] == stale_from(since)
            if (since is None, doubtful) != (row.no_signal_since is None, bool(row.doubtful)) or has_become_stale:
                settling.append(row.n)
            due = settles_next(row, now)
            if due is not None:  # it may have been heard of since it was read
                self._look_at(row.n, min(due, self._due.get(row.n, due)))
        return settling

    def _look_at(self, n: int, due: int) -> None:
        self._due[n] = due
        place = self._places.get(n)
        if place is None or due < place:
            self._places[n] = due
            heapq.heappush(self._queue, (due, n))


def may_fall_silent(connection: Connection, now: UtcMs) -> list[int]:
    """The numbers of the tasks whose silence is not known yet, or that are about to be stale."""
    columns = schema.tasks.c
    known = and_(columns.no_signal_since.is_not(None), columns.no_signal_since < now - STALE_AFTER_MS)
    active = and_(columns.status.in_(sorted(FALLS_SILENT)), columns.lost.is_(False))
    return list(connection.execute(select(columns.n).where(active, or_(columns.no_signal_since.is_(None), ~known))).scalars())


def signs_of(connection: Connection, numbers: Iterable[int]) -> list[Row[Any]]:
    """What tells whether these tasks are silent."""
    return list(connection.execute(_LOOKS.where(schema.tasks.c.n.in_(numbers))))

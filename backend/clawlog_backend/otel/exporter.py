"""Exports tasks that ended as traces: a task of its own beside intake, which waits for nobody here.

What ended enters the queue on disk (:mod:`clawlog_backend.storage.traces`) and leaves it once the receiver took it, or refused
it for good. A receiver that is down is asked again and again, ever more seldom; the queue is bounded, and its oldest go first.
At least once: a kill between the receiver's answer and its record sends the same spans again, under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from clawlog_backend.domain.runs import SETTLE_MS
from clawlog_backend.domain.spans import Span
from clawlog_backend.domain.times import Clock
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.metrics import TraceMetrics
from clawlog_backend.otel.encoding import encode
from clawlog_backend.otel.sending import Answer, Sender, Verdict
from clawlog_backend.settings import TraceReceiver
from clawlog_backend.storage import traces
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.traces import Ends, Waiting

LOOK_EVERY_S = 1.0
_LATE_MS = 500  # events that arrived together may be written one after the other
_RUNS_AT_ONCE = 100
_SPANS_AT_ONCE = 1_000  # some 0.5 MB
_NOTE_EVERY_S = 60.0  # how far the log was read, where nothing ended: it is kept for who has yet to read it
_LEAD_FOR_S = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_FAULTS = 8  # answers of 500 in a row that are taken for a fault of the receiver; from then on, for one of what it is sent
_COMPLAIN_EVERY_S = 60.0

log = logging.getLogger(__name__)


class TraceExporter:
    """Runs in the background.

    Args:
        database: Where tasks and the queue are.
        changes: Knows the number of the last change.
        receiver: Who is sent what ended.
        metrics: Count it.
        clock: What time it is.
        may_lead: Whether it is this replica that does it.

    Raises:
        SettingsError: A certificate cannot be used.
    """

    def __init__(
        self,
        *,
        database: Database,
        changes: ChangeLog,
        receiver: TraceReceiver,
        metrics: TraceMetrics,
        clock: Clock,
        may_lead: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._database = database
        self._changes = changes
        self._receiver = receiver
        self._metrics = metrics
        self._clock = clock
        self._may_lead = may_lead
        self._sender = Sender(receiver)
        self._lead_until_s = 0.0
        self._read_to: int | None = None
        self._noted = 0
        self._note_next_s = 0.0
        self._failures = 0
        self._faults = 0
        self._not_before_s = 0.0
        self._complain_next_s = 0.0

    async def run(self) -> None:
        """Export until cancelled."""
        async with self._sender:
            away = False
            while True:
                busy = False
                try:
                    if await self._leads():
                        await self._take_up()
                        busy = await self._export()
                    away = False
                except DatabaseError as error:
                    if not away:
                        log.error("traces are not exported for now: %s", error)  # noqa: TRY400 - an expected fault
                    away, self._read_to = True, None
                await asyncio.sleep(0 if busy else LOOK_EVERY_S)

    async def _leads(self) -> bool:
        if self._may_lead is None or time.monotonic() < self._lead_until_s:
            return True
        leads = await self._may_lead()
        if leads:
            self._lead_until_s = time.monotonic() + _LEAD_FOR_S
        else:
            self._read_to = None  # whoever leads reads on
        return leads

    # ── From the log into the queue ─────────────────────────────────────────────────────────────────────────────────

    async def _take_up(self) -> None:
        if self._read_to is None:
            self._read_to = self._noted = await self._database.write(traces.begin)
            self._metrics.waiting.set(await self._database.read(traces.count))
        while self._changes.position.seq > self._read_to:
            ends = await self._database.read(partial(traces.look, since=self._read_to))
            if not await self._enter(ends):
                self._read_to = None
                return
            self._read_to = ends.upto
            if not ends.more:
                return

    async def _enter(self, ends: Ends) -> bool:
        """Whether this replica is still the one that reads on."""
        due = time.monotonic() >= self._note_next_s and ends.upto > self._noted
        if not ends.found and not due:
            return True
        most = self._receiver.most_waiting

        def enter(connection: Connection) -> tuple[int | None, int]:
            return traces.enter(connection, ends, most=most), traces.count(connection)

        dropped, waiting = await self._database.write(enter)
        if dropped is None:
            return False
        self._noted, self._note_next_s = ends.upto, time.monotonic() + _NOTE_EVERY_S
        self._metrics.waiting.set(waiting)
        if dropped:
            self._metrics.count("dropped", dropped)
            self._complain("%d runs of tasks wait to be exported, the most that may: the oldest are dropped", waiting)
        return True

    # ── From the queue to the receiver ──────────────────────────────────────────────────────────────────────────────

    async def _export(self) -> bool:
        """Send what is due, as much as one request takes; whether there may be more."""
        if time.monotonic() < self._not_before_s:
            return False
        before_ms = self._clock() - SETTLE_MS - _LATE_MS
        waiting = await self._database.read(lambda connection: traces.due(connection, before_ms=before_ms, limit=_RUNS_AT_ONCE))
        if not waiting:
            return False
        found = await self._database.read(lambda connection: _load(connection, waiting))
        for result in ("unsampled", "unreadable"):
            await self._settle([each for each, spans in found if spans == result], result)
        whole = [(each, spans) for each, spans in found if not isinstance(spans, str)]
        if whole and not await self._send(whole):
            return False
        return len(found) < len(waiting) or len(waiting) == _RUNS_AT_ONCE

    async def _send(self, whole: Sequence[tuple[Waiting, Sequence[Span]]]) -> bool:
        """Send runs together; each by itself where they are refused together. Whether the receiver takes more."""
        answer = await self._post(whole)
        if answer.verdict is Verdict.TAKEN:
            if answer.rejected_spans:
                self._complain("the receiver of traces did not take %d spans: %s", answer.rejected_spans, answer.why)
                self._metrics.rejected_spans.inc(answer.rejected_spans)
            await self._settle([each for each, _ in whole], "exported")
        elif answer.verdict is Verdict.AGAIN:
            self._wait(answer)
            return False
        elif len(whole) > 1:
            for each in whole:
                if not await self._send([each]):
                    return False
        else:
            self._complain("the receiver of traces refused one, which is not sent again: %s", answer.why)
            await self._settle([whole[0][0]], "refused")
        return True

    async def _post(self, whole: Sequence[tuple[Waiting, Sequence[Span]]]) -> Answer:
        body = await asyncio.to_thread(encode, [span for _, spans in whole for span in spans], self._receiver.resource)
        answer = await self._sender.send(body)
        self._faults = self._faults + 1 if answer.status == 500 else 0
        if self._faults > _FAULTS:
            answer = Answer(Verdict.REFUSED, answer.why, answer.status)
        if answer.verdict is Verdict.AGAIN:
            return answer
        if self._failures:
            log.warning("the receiver of traces answers again")
        self._failures = 0
        self._metrics.up.set(1)
        return answer

    def _wait(self, answer: Answer) -> None:
        if not self._failures:
            log.warning(
                "traces wait, since the receiver at %s takes none: %s; up to %d runs of tasks are kept, and tried again",
                self._receiver.url, answer.why, self._receiver.most_waiting,
            )  # fmt: skip
        self._failures += 1
        self._metrics.up.set(0)
        self._metrics.failed_requests.inc()
        most = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._failures - 1, 10))
        jittered = random.uniform(most / 2, most)  # noqa: S311 - not for secrets
        self._not_before_s = time.monotonic() + max(answer.wait_s, jittered)

    async def _settle(self, done: Sequence[Waiting], result: str) -> None:
        """Take runs out of the queue, with what became of them."""
        if not done:
            return

        def remove(connection: Connection) -> int:
            traces.remove(connection, done)
            return traces.count(connection)

        waiting = await self._database.write(remove)
        self._metrics.count(result, len(done))
        self._metrics.waiting.set(waiting)

    def _complain(self, text: str, *values: object) -> None:
        """Log what may be true of thousands in a row, once a minute; the metrics count them all."""
        if time.monotonic() >= self._complain_next_s:
            self._complain_next_s = time.monotonic() + _COMPLAIN_EVERY_S
            log.warning(text, *values)


def _load(connection: Connection, waiting: Sequence[Waiting]) -> list[tuple[Waiting, Sequence[Span] | str]]:
    """The spans of runs, as many as fit into a request, or why there are none."""
    found: list[tuple[Waiting, Sequence[Span] | str]] = []
    total = 0
    for each in waiting:
        try:
            spans: Sequence[Span] | str = traces.load(connection, each) or "unsampled"
        except (LookupError, TypeError, ValueError) as error:  # a history that no version of this program writes
            log.error("a task's history cannot be read as a trace, and is left out: %s", error)  # noqa: TRY400 - as above
            spans = "unreadable"
        if not isinstance(spans, str):
            total += len(spans)
            if found and total > _SPANS_AT_ONCE:
                break
        found.append((each, spans))
    return found

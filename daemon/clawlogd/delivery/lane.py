"""A lane brings one backend's events there: in order within a task, one request at a time, until the backend has them.

What a backend will not take becomes a dead letter, and its neighbours go on. What it cannot take now is tried again without
end: a few quick attempts, then single probes. An event that fails while others get through is set aside with its task (see
``parking``), so that it never blocks the others; a batch that is refused as a whole is halved until the one to blame is alone.
"""

from __future__ import annotations

import asyncio
import math

import anyio

from clawlogd.clock import Clock, rfc3339
from clawlogd.delivery.parking import Parking
from clawlogd.delivery.profiles import BatchProfile, PlainProfile, Profile, Result, Round
from clawlogd.delivery.report import LaneReport, LaneState
from clawlogd.delivery.selection import Selection
from clawlogd.delivery.settlement import Settlement
from clawlogd.errors import StorageFailed
from clawlogd.liveness.schedule import Heartbeats
from clawlogd.logs import Log
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.breaker import Breaker, BreakerState
from clawlogd.upstream.client import Answer, Outcome, Upstream

_SMALL_ROUND = 100  # events: each in a request of its own, or in one that is likely to fail as the last one did
_TOO_MANY = 429  # says that the backend is busy, never that an event is bad
_SHARE_OF_BEATS = 4  # at most one record in so many of a full batch is a beat
_ENVELOPE_BYTES = 4096


class Lane:
    """One backend's lane.

    Args:
        base_url: The backend's address.
        outbox: Where events come from.
        registry: Where the ids that a server gives out are kept.
        upstream: The backend, over connections of the lane's own.
        heartbeats: Has the beats that are due.
        settings: Sizes, delays.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        base_url: str,
        outbox: Outbox,
        registry: Registry,
        upstream: Upstream,
        heartbeats: Heartbeats,
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self.base_url = base_url
        self.number = outbox.lane(base_url)
        self._outbox = outbox
        self._upstream = upstream
        self._heartbeats = heartbeats
        self._settings = settings
        self._clock = clock
        self._log = Log("lane", backend=base_url)
        self._breaker = Breaker(settings)
        self._batch = BatchProfile(upstream=upstream, registry=registry)
        self._plain = PlainProfile(upstream=upstream, registry=registry)
        self._plain_until = 0.0
        self._limit = settings.now.batch.max_events
        self._not_before = 0.0
        self._beats_by = math.inf
        self._selection = Selection(outbox=outbox, lane=self.number)
        self._settlement = Settlement(outbox=outbox, lane=self.number, registry=registry, clock=clock, log=self._log)
        self._parking = Parking()
        self._only_parked = False  # nothing else was found to send
        self._tried_parked = False
        self._released: set[str] = set()  # tasks about whose dead creation a person has decided
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._sending = False
        self._outage_ms: int | None = None
        self._last_answer: Answer | None = None
        self._storage_failed = False
        self._retried = 0
        outbox.listen(self.number, self.wake)

    # ── For others ─────────────────────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """Says that there may be something to send."""
        self._only_parked = False
        self._wake.set()

    def retry_now(self) -> None:
        """Ends a pause between attempts: someone has reason to think that the backend is back."""
        self._not_before = 0.0
        self._parking.retry_now(self._clock.monotonic())
        self.wake()

    def release(self, task_id: str) -> None:
        """Lets the events of a task whose dead creation was decided on go on, from the next round."""
        self._released.add(task_id)
        self.retry_now()

    @property
    def pending(self) -> int:
        """How many events wait to be sent."""
        return self._outbox.counts.pending[self.number]

    @property
    def quiet(self) -> bool:
        """Whether waiting for this lane is pointless: nothing is left, or its backend does not take it now."""
        return (not self.pending and not self._sending) or self._breaker.state is BreakerState.OPEN or self._only_parked

    async def settled(self) -> None:
        """Returns after the next round that settled something, or failed."""
        await self._settled.wait()

    def report(self) -> LaneReport:
        """How the lane stands."""
        now = self._clock.monotonic()
        answer, oldest_ms = self._last_answer, self._selection.oldest_ms
        waiting = self.pending + self._outbox.counts.held[self.number]
        return LaneReport(
            base_url=self.base_url,
            state=self._state(),
            profile="plain" if now < self._plain_until else "batch",
            reachable=None if answer is None and not self._settlement.delivered else self._outage_ms is None,
            breaker=self._breaker.state,
            last_error=answer.detail if answer else None,
            outage_since=rfc3339(self._outage_ms) if self._outage_ms is not None else None,
            next_try_in_s=round(max(0.0, self._not_before - now), 1) if self._breaker.failures else None,
            pending=waiting,
            oldest_age_s=max(0.0, round((self._clock.wall_ms() - oldest_ms) / 1000, 1)) if waiting and oldest_ms else None,
            delivered=self._settlement.delivered,
            retried=self._retried,
            dead_lettered=self._outbox.counts.dead[self.number],
            held=self._outbox.counts.held[self.number],
            parked_tasks=len(self._parking),
            parked_error=self._parking.detail,
        )

    def _state(self) -> LaneState:
        if self._storage_failed:
            return LaneState.STORAGE_FAILED
        if self._last_answer is not None and self._last_answer.outcome is Outcome.UNAUTHORIZED:
            return LaneState.UNAUTHORIZED
        if self._breaker.failures:
            return LaneState.OUTAGE if self._breaker.state is BreakerState.OPEN else LaneState.RETRYING
        return LaneState.DELIVERING if self.pending else LaneState.IDLE

    # ── The loop ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Delivers until cancelled."""
        try:
            await self._run()
        finally:
            self._selection.forget_ahead()

    async def _run(self) -> None:
        while True:
            await self._until_due()
            self._sending = True
            try:
                await self._round()
                self._storage_failed = False
            except StorageFailed as error:
                # What was settled in this round is pending again, and will be sent again: the backend knows the event ids.
                if not self._storage_failed:
                    self._log.warning("settling_failed", error=str(error))
                self._storage_failed = True
                self._selection.forget_ahead()
                self._settlement.failed()
                self._limit = max(1, self._limit // 2)  # the record of less needs less room
                self._not_before = self._clock.monotonic() + self._settings.now.retry.max_delay_s / 12
            finally:
                self._sending = False
                self._settled.set()
                self._settled = asyncio.Event()

    async def _until_due(self) -> None:
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            beats_due = self._heartbeats.due_count(self.base_url)
            wait_s: float | None = (min(self._not_before, self._beats_by) if beats_due else self._not_before) - now
            if not beats_due and not self._has_work(now):
                next_due = self._parking.next_due()
                wait_s = None if next_due is None else max(next_due, self._not_before) - now
            if wait_s is not None and wait_s <= 0:
                return
            with anyio.move_on_after(wait_s):
                await self._wake.wait()

    def _has_work(self, now: float) -> bool:
        return (self.pending > 0 and not self._only_parked) or bool(self._released) or bool(self._due_trial(now))

    def _due_trial(self, now: float) -> list[str]:
        """The parked tasks that may be tried: not while others fail, too, or nothing gets through."""
        state = self._breaker.state
        tried = state is BreakerState.CLOSED or (self._only_parked and state is BreakerState.RETRYING)
        return self._parking.due(now) if tried else []

    async def _round(self) -> None:
        await self._settlement.load()
        if self._released or len(self._parking):
            await self._catch_up()
        for task_id in tuple(self._released):
            await self._settlement.requeue_held(task_id)
            self._released.discard(task_id)
        trial = self._due_trial(self._clock.monotonic())
        # In turn with the others: neither many parked tasks nor a long queue may hold up the other.
        self._tried_parked = bool(trial) and (self._only_parked or not self._tried_parked)
        if self._tried_parked:
            await self._try_parked(trial)
            return
        probing = self._breaker.state is BreakerState.OPEN
        limit = self._most_events()
        # However much waits, beats have a share of each request; but none while a refused batch is searched for its fault.
        whole = self._limit == self._settings.now.batch.max_events
        share = min(self._heartbeats.due_count(self.base_url), limit // _SHARE_OF_BEATS) if whole else 0
        room_bytes = self._settings.now.batch.max_bytes - _ENVELOPE_BYTES
        events = await self._next_events(1 if probing else limit - share, room_bytes // 2 if share else room_bytes)
        room_bytes -= sum(len(each.body) + 1 for each in events)
        beats = self._heartbeats.take(self.base_url, limit - len(events), room_bytes) if whole or not events else []
        if not events and not beats:
            return
        started = self._clock.monotonic()
        profile = self._profile()
        if profile is self._batch and whole and not self._breaker.failures and not len(self._parking):
            self._selection.look_ahead()
        sent = await profile.send(events, beats)
        self._heartbeats.put_back(self.base_url, sent.unsent)
        full = len(sent.results) < len(events) or len(events) >= limit - share
        if sum(result.accepted for result in sent.results) < len(events):
            self._selection.forget_ahead()
        await self._settle(sent.results)
        if sent.failure is not None:
            self._failed(sent.failure, events[len(sent.results) :])
            return
        self._succeeded(sent)
        # A backend that takes full batches is being caught up with: the next one follows at once.
        self._not_before = 0.0 if full else started + self._settings.now.batch.min_interval_s

    async def _next_events(self, limit: int, room_bytes: int) -> list[StoredEvent]:
        if not self.pending:
            self._only_parked = False
            return []
        found = await self._selection.next_ahead(limit, room_bytes, self._parking.excluded)
        if found is None:
            await self._catch_up()
            found = await self._selection.next(limit, room_bytes, self._parking.excluded)
        if not found and self._parking.clear_suspects(
            self._clock.monotonic() if self._breaker.state is BreakerState.OPEN else None
        ):
            # Every task has failed as a probe by now: it is the backend, not one of them.
            return await self._next_events(limit, room_bytes)
        self._only_parked = not found and self.pending > 0 and len(self._parking) > 0
        chosen: list[StoredEvent] = []
        set_aside = False
        for stored in found:
            if not stored.intact:
                self._settlement.dead_letter(stored, None, "the record is damaged: its checksum does not fit")
                set_aside = True
            elif stored.task_id in self._released:
                continue  # decided on just now: the next round begins with it
            elif self._settlement.holds(stored.task_id):
                self._settlement.hold(stored)
                set_aside = True
            else:
                chosen.append(stored)
        if set_aside:
            await self._outbox.committed()  # before the next look, which would find them again
        return chosen

    def _profile(self) -> Profile:
        return self._plain if self._clock.monotonic() < self._plain_until else self._batch

    def _most_events(self) -> int:
        small = self._profile() is self._plain or self._breaker.failures
        return min(self._limit, _SMALL_ROUND) if small else self._limit

    # ── What came of it ────────────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self, results: list[Result]) -> None:
        if not results:
            return
        await self._settlement.record(results)
        if not self._selection.is_ahead or not self.pending:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Drops what was read ahead, and returns when all that was settled is on disk."""
        self._selection.forget_ahead()
        await self._settlement.written()

    def _succeeded(self, sent: Round) -> None:
        if self._outage_ms is not None:
            lasted_s = round((self._clock.wall_ms() - self._outage_ms) / 1000, 1)
            self._log.info("backend_back", lasted_s=lasted_s, pending=self.pending)
            self._outage_ms = None
        if sent.results:
            self._parking.park_suspects(self._clock.monotonic())
        self._breaker.succeeded()
        self._beats_by = math.inf
        self._last_answer = None
        self._limit = min(self._limit * 2, self._settings.now.batch.max_events)

    def _failed(self, answer: Answer, undecided: list[StoredEvent]) -> None:
        if answer.outcome is Outcome.NO_ROUTE:
            self._log.info("plain_profile", detail=answer.detail)
            self._plain_until = self._clock.monotonic() + self._settings.now.poll.recheck_batch_s
            return
        if answer.outcome is Outcome.REFUSED:
            # The batch as a whole: halve it until the one to blame is alone.
            self._limit = max(1, len(undecided) // 2)
            return
        self._last_answer = answer
        self._retried += 1
        if answer.status is not None and answer.outcome is Outcome.TRANSIENT:
            if len(undecided) > 1:
                self._limit = max(1, len(undecided) // 2)
            elif undecided and self._breaker.state is BreakerState.OPEN and answer.status != _TOO_MANY:
                self._parking.suspect(undecided[0].task_id, answer.detail)
        now, delay_s = self._clock.monotonic(), self._breaker.failed(answer.retry_after_s)
        self._not_before = now + delay_s
        # A beat that is due is a probe, too: a backend that is back hears of the living within one beat's time.
        self._beats_by = now + self._settings.now.heartbeat.interval_s if answer.retry_after_s is None else math.inf
        if self._outage_ms is None and self._breaker.state is BreakerState.OPEN:
            self._outage_ms = self._clock.wall_ms()
            self._log.warning("backend_unavailable", detail=answer.detail, pending=self.pending)

    async def _try_parked(self, due: list[str]) -> None:
        """Tries events of parked tasks: many together, and alone the one that fails."""
        profile, limit = self._profile(), min(self._parking.together, self._most_events())
        room_bytes = self._settings.now.batch.max_bytes - _ENVELOPE_BYTES
        found = await self._outbox.read(lambda store: store.pending(self.number, limit, room_bytes, only=due))
        if not found or not all(each.intact for each in found):
            self._leave_parking({each.task_id for each in found if not each.intact} or set(due))  # to be dealt with in its turn
            return
        sent = await profile.send(found, ())
        await self._settle(sent.results)
        failure, undecided = sent.failure, found[len(sent.results) :]
        failed = undecided[0].task_id if failure is not None else None
        if sent.results:
            self._parking.passed({each.stored.task_id for each in sent.results} - {failed})
            self._only_parked = False
        if failure is None or failed is None:
            self._succeeded(sent)
        elif failure.outcome is Outcome.REFUSED:
            self._parking.failed_together(len(undecided))
        elif failure.outcome is Outcome.TRANSIENT and failure.status not in {None, _TOO_MANY}:
            self._retried += 1
            now = self._clock.monotonic()
            self._not_before = now + max(self._settings.now.batch.min_interval_s, failure.retry_after_s or 0.0)
            if len(undecided) > 1 and profile is self._batch:
                self._parking.failed_together(len(undecided))
            elif self._parking.failed(failed, now, failure.detail, self._settings.now.retry.max_delay_s):
                self._log.warning("task_parked", task_id=failed, detail=failure.detail)
        else:
            self._failed(failure, [])  # the way to the backend, not the event

    def _leave_parking(self, task_ids: set[str]) -> None:
        self._parking.leave(task_ids)
        self._only_parked = False

"""A lane brings one backend's events there: in order within a task, one request at a time, until the backend has them.

``policy`` decides what goes into each round and when it is; here is the I/O. What a backend will not take becomes a dead
letter, and its neighbours go on. While a full batch is on its way, the next is read already, and what became of the one before
is being committed.

Nothing that a backend sends, and no fault of the daemon's own, ends a lane: an unexpected exception counts as a failure of the
round, so that what it was about is found and parked, and all else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from clawlogd.clock import Clock, rfc3339
from clawlogd.delivery.agreement import Agreement
from clawlogd.delivery.batch import BatchProfile
from clawlogd.delivery.plain import Hear, PlainProfile
from clawlogd.delivery.plans import Notice, NoticeKind, ParkedPlan, ProfileName, RoundPlan
from clawlogd.delivery.policy import DeliveryPolicy
from clawlogd.delivery.profiles import Profile, Result, Round
from clawlogd.delivery.report import LaneReport, LaneState
from clawlogd.delivery.resync import Resync
from clawlogd.delivery.selection import Selection
from clawlogd.delivery.settlement import Settlement
from clawlogd.delivery.words import Words, read_batch_words, read_plain_words
from clawlogd.errors import StorageFailed
from clawlogd.faults import Faults
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.logs import Log
from clawlogd.model import Beat
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.breaker import BreakerState
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.finder import ContractFinder, ContractState

_OWN_FAULT = 500  # what a fault of the daemon's own counts as


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
        faults: Where faults of the daemon's own are noted.
        hide_control: Called with a task that the backend does not know any more, and why: its control state is not known.
        show_control: Called once it knows it again.
        hear: Takes the control states that come with the answers to heartbeats; see ``PlainProfile``.
        contract: How the backend wants to be spoken to, as far as that is known.
    """

    def __init__(
        self,
        *,
        base_url: str,
        outbox: Outbox,
        registry: Registry,
        upstream: Upstream,
        heartbeats: HeartbeatSchedule,
        settings: LiveSettings,
        clock: Clock,
        faults: Faults,
        hide_control: Callable[[str, str], None],
        show_control: Callable[[str], None],
        hear: Hear,
        contract: ContractFinder,
    ) -> None:
        self.base_url = base_url
        self.number = outbox.lane(base_url)
        self._outbox = outbox
        self._heartbeats = heartbeats
        self._clock = clock
        self._log = Log("lane", backend=base_url)
        self._policy = DeliveryPolicy(settings=settings, clock=clock)
        self._agreement = Agreement(contract)
        self._profiles: dict[ProfileName, Profile] = {
            ProfileName.BATCH: BatchProfile(
                upstream=upstream,
                registry=registry,
                words=Words(clock=clock, document=lambda: contract.document, read=read_batch_words),
            ),
            ProfileName.PLAIN: PlainProfile(
                upstream=upstream,
                registry=registry,
                words=Words(clock=clock, document=lambda: contract.document, read=read_plain_words),
                settings=settings,
                hear=hear,
            ),
        }
        self._selection = Selection(outbox=outbox, lane=self.number)
        self._settlement = Settlement(outbox=outbox, lane=self.number, registry=registry, clock=clock, log=self._log)
        self._faults = faults
        self._resync = Resync(
            lane=self.number,
            upstream=upstream,
            profile=lambda: self._profiles[self._policy.profile],
            registry=registry,
            outbox=outbox,
            clock=clock,
            log=self._log,
            hide_control=hide_control,
            show_control=show_control,
            wake=self.wake,
        )
        self._in_hand: list[str] = []  # the tasks of the events of the round that is on its way
        self._requeued: set[str] = set()  # tasks about whose dead creation a person has decided
        self._wake = asyncio.Event()
        self._round_done = asyncio.Event()
        self._in_round = False
        outbox.listen(self.number, self.wake)

    # ── For others ─────────────────────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """Says that there may be something to send."""
        self._policy.events_added()
        self._wake.set()

    def retry_now(self) -> None:
        """Ends a pause between attempts: there is reason to think that the backend is back."""
        self._agreement.contract.retry_now()
        self.contract_changed()

    def contract_changed(self) -> None:
        """Ends a pause between attempts: it is known by now, or known better, how the backend wants to be spoken to."""
        self._policy.retry_now()
        self._wake.set()

    def requeue(self, task_id: str) -> None:
        """Lets the events go on that are held behind a task's dead creation, from the next round: it was decided on."""
        self._requeued.add(task_id)
        self.retry_now()

    @property
    def pending(self) -> int:
        """How many events wait to be sent."""
        return self._outbox.counts.pending[self.number]

    @property
    def busy(self) -> bool:
        """Whether a round is under way."""
        return self._in_round

    @property
    def can_progress(self) -> bool:
        """Whether it is of use to wait for this lane: something is left, and its backend takes events now."""
        return (self.pending > 0 or self._in_round) and self._policy.can_progress and self._agreement.contract.may_send

    async def next_round(self) -> None:
        """Returns after the next round, whatever came of it."""
        await self._round_done.wait()

    def report(self) -> LaneReport:
        """How the lane stands."""
        policy, counts, contract = self._policy, self._outbox.counts, self._agreement.contract.report()
        failure, oldest_ms = policy.last_failure, self._selection.oldest_ms
        waiting = self.pending + counts.held[self.number]
        return LaneReport(
            base_url=self.base_url,
            state=LaneState.NO_CONTRACT if contract.state is ContractState.MISSING else policy.state(self.pending),
            profile=policy.profile,
            reachable=None if failure is None and not self._settlement.delivered else policy.outage_ms is None,
            breaker=policy.breaker,
            last_error=failure.detail if failure else None,
            outage_since=rfc3339(policy.outage_ms) if policy.outage_ms is not None else None,
            next_try_in_s=None if policy.next_try_in_s is None else round(policy.next_try_in_s, 1),
            pending=waiting,
            oldest_age_s=max(0.0, round((self._clock.wall_ms() - oldest_ms) / 1000, 1)) if waiting and oldest_ms else None,
            delivered=self._settlement.delivered,
            retried=policy.retried,
            dead_lettered=counts.dead[self.number],
            held=counts.held[self.number],
            parked_tasks=len(policy.parking),
            parked_error=policy.parking.detail,
            resyncing=len(self._resync.tasks),
            unmapped_tasks=self._settlement.unmapped_tasks,
            token_sent=failure.with_token if failure else None,
            contract=contract.state.value,
            contract_detail=contract.detail or contract.source,
        )

    # ── The loop ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Delivers until cancelled."""
        try:
            async with anyio.create_task_group() as group:
                self._resync.start(group)
                while True:
                    await self._until_due()
                    await self._one_round()
        finally:
            self._selection.drop_ahead()

    async def _until_due(self) -> None:
        while True:
            self._wake.clear()
            wait_s = self._policy.wait_s(
                pending=self.pending,
                due_beats=self._heartbeats.due_count(self.base_url),
                requeues=bool(self._requeued),
            )
            if not self._agreement.contract.may_send:
                wait_s = None
            elif wait_s is not None and wait_s <= 0:
                return
            with anyio.move_on_after(wait_s):
                await self._wake.wait()

    async def _one_round(self) -> None:
        self._in_round = True
        try:
            await self._round()
            self._policy.recorded()
        except StorageFailed as error:
            # What was settled in this round is pending again, and will be sent again: the backend knows the event ids.
            if self._policy.storage_failed():
                self._log.warning("settling_failed", error=str(error))
            self._selection.drop_ahead()
            self._settlement.acknowledge_failure()
        except Exception as error:  # noqa: BLE001 - it sets aside what the round was about, never the lane
            self._selection.drop_ahead()
            answer = Answer(Outcome.TRANSIENT, self._note_fault(error), _OWN_FAULT)
            self._log_notice(self._policy.failed(answer, self._in_hand))
        finally:
            self._in_round = False
            self._in_hand = []
            self._round_done.set()
            self._round_done = asyncio.Event()

    async def _round(self) -> None:
        await self._settlement.load()
        if self._requeued or len(self._policy.parking):
            await self._catch_up()
        for task_id in tuple(self._requeued):
            await self._settlement.requeue_held(task_id)
            self._requeued.discard(task_id)
        if self._agreement.begin():
            self._resync.suspect_all(self.base_url)
        self._policy.on_trial = self._agreement.contract.is_trial
        self._policy.plain_only = self._agreement.contract.interpreter is not None
        plan = self._policy.plan_round(self._heartbeats.due_count(self.base_url))
        if isinstance(plan, ParkedPlan):
            await self._try_parked(plan)
        else:
            await self._send_next(plan)

    # ── A regular round ────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_next(self, plan: RoundPlan) -> None:
        events = await self._next_events(plan)
        room_bytes = plan.max_bytes - sum(len(each.body) + 1 for each in events)
        with_beats = plan.beats_beside_events or not events
        beats = self._heartbeats.take(self.base_url, plan.max_records - len(events), room_bytes) if with_beats else []
        if not events and not beats:
            return
        self._in_hand = [each.task_id for each in events]
        started = self._clock.monotonic()
        if plan.reads_ahead:
            self._selection.read_ahead()
        sent = await self._send(plan.profile, events, beats)
        self._heartbeats.put_back(self.base_url, sent.unsent)
        if sum(result.accepted for result in sent.results) < len(events):
            self._selection.drop_ahead()
        await self._record(sent.results)
        self._resync.suspect(sent.unknown_tasks)
        decided = len(sent.results)
        if sent.failure is not None:
            undecided = [each.task_id for each in sent.undecided(events)]
            notice = self._policy.failed(sent.failure, undecided, decided=decided, with_beats=bool(beats))
        elif sent.beats_answer is not None and not decided and not sent.beats_sent:
            notice = self._policy.beats_failed(sent.beats_answer, len(sent.beats_failed))
        else:
            notice = self._policy.succeeded(plan, offered=len(events), decided=decided, beats=sent.beats_sent, started=started)
        self._heartbeats.put_back(self.base_url, sent.beats_failed, due=self._policy.breaker is not BreakerState.CLOSED)
        self._log_notice(notice)

    async def _next_events(self, plan: RoundPlan) -> list[StoredEvent]:
        """The events of a round; those among them that cannot be sent are dealt with."""
        found = await self._find(plan)
        self._policy.events_found(len(found), self.pending, set_aside=len(self._resync.tasks))
        chosen: list[StoredEvent] = []
        set_aside = False
        for stored in found:
            if not stored.intact:
                self._settlement.dead_letter(stored, None, "the record is damaged: its checksum does not fit")
                set_aside = True
            elif stored.task_id in self._requeued:
                continue  # decided on just now: the next round begins with it
            elif self._settlement.holds(stored.task_id):
                self._settlement.hold(stored)
                set_aside = True
            else:
                chosen.append(stored)
        if set_aside:
            await self._outbox.committed()  # before the next read, which would find them again
        return chosen

    async def _find(self, plan: RoundPlan) -> list[StoredEvent]:
        while self.pending:
            excluded = self._policy.parking.excluded | self._resync.tasks
            found = await self._selection.next_ahead(plan.max_events, plan.max_event_bytes, excluded)
            if found is None:
                await self._catch_up()
                found = await self._selection.next(plan.max_events, plan.max_event_bytes, excluded)
            if found or not self._policy.nothing_found():
                return found
        return []

    # ── A round of parked tasks ────────────────────────────────────────────────────────────────────────────────────

    async def _try_parked(self, plan: ParkedPlan) -> None:
        found = await self._outbox.read(
            lambda store: store.pending(self.number, plan.max_events, plan.max_bytes, only=plan.task_ids)
        )
        if not found or not all(each.intact for each in found):
            # Nothing is left of them, or what is left is damaged: that is dealt with in a regular round.
            self._policy.unpark({each.task_id for each in found if not each.intact} or set(plan.task_ids))
            return
        self._in_hand = [each.task_id for each in found]
        sent = await self._send(plan.profile, found, ())
        await self._record(sent.results)
        undecided = sent.undecided(found)
        notice = self._policy.tried(
            plan,
            decided={each.stored.task_id for each in sent.results},
            failure=sent.failure,
            undecided=[each.task_id for each in undecided],
        )
        if notice is not None and notice.kind is NoticeKind.EVENT_FORBIDDEN and sent.failure is not None:
            self._settlement.dead_letter(undecided[0], sent.failure.status, sent.failure.detail)
            await self._outbox.committed()
        self._log_notice(notice)

    async def _send(self, profile: ProfileName, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends; a fault of the daemon's own counts as the backend's failure at what was sent."""
        try:
            sent = await self._agreement.send(partial(self._profiles[profile].send, events, beats), beats)
            if sent.error is None:
                return sent
            return replace(sent, failure=Answer(Outcome.TRANSIENT, self._note_fault(sent.error), _OWN_FAULT))
        except Exception as error:  # noqa: BLE001 - it sets aside what was sent, never the lane
            return Round([], Answer(Outcome.TRANSIENT, self._note_fault(error), _OWN_FAULT), list(beats))

    def _note_fault(self, error: Exception) -> str:
        return self._faults.note(f"lane {self.base_url}", error)

    # ── What came of it ────────────────────────────────────────────────────────────────────────────────────────────

    async def _record(self, results: list[Result]) -> None:
        results = self._resync.sift(results)
        if not results:
            return
        await self._settlement.record(results)
        if not self._selection.is_ahead or not self.pending:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Drops what was read ahead, and returns when all that was settled is on disk."""
        self._selection.drop_ahead()
        await self._settlement.committed()

    def _log_notice(self, notice: Notice | None) -> None:
        match notice:
            case None:
                return
            case Notice(NoticeKind.PLAIN_PROFILE):
                self._log.info("plain_profile", detail=notice.detail)
            case Notice(NoticeKind.OUTAGE_BEGAN):
                self._log.warning("backend_unavailable", detail=notice.detail, pending=self.pending)
            case Notice(NoticeKind.OUTAGE_ENDED):
                self._log.info("backend_back", lasted_s=notice.lasted_s, pending=self.pending)
            case Notice(NoticeKind.TASK_PARKED):
                self._log.warning("task_parked", task_id=notice.task_id, detail=notice.detail)

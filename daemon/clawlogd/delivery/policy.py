"""What a lane sends next, by what came of its last round. No I/O: answers and times come in, plans go out.

A round that fails is tried again without end: a few quick attempts, then single probes (see ``upstream.breaker``). A batch that
is refused as a whole, or that fails at the backend, is halved until the one to blame is alone. While the breaker is open each
probe carries another task's event; those whose probe failed are parked once another gets through (see ``parking``), and tried
in rounds of their own, in turn with the regular ones. A server without the batch route gets each event by its own route.

A 403 may be one event's fault (a firewall reads what it lets through) or the backend's as a whole. So the events of other tasks
are tried first: while they get through it is the event's, which is parked and becomes a dead letter in the end; when none does,
the lane pauses.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from clawlogd.clock import Clock
from clawlogd.delivery.parking import Parking
from clawlogd.delivery.plans import Notice, NoticeKind, ParkedPlan, ProfileName, RoundPlan
from clawlogd.delivery.report import LaneState
from clawlogd.settings import LiveSettings
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.breaker import Breaker, BreakerState

_SMALL_ROUND = 100  # events, after a failure: they are likely to fail, too
_TOO_MANY = 429  # says that the backend is busy, never that an event is bad
_SHARE_OF_BEATS = 4  # at most one record in so many of a full batch is a beat
_ENVELOPE_BYTES = 4096
_MOST_FORBIDDEN = 5  # tries of an event that is forbidden alone
_FEW_BEATS = 2  # rounds of failing heartbeats, and nothing else, that are borne
_STORAGE_PAUSES = 12  # so many tries to record in the longest pause between two probes


class DeliveryPolicy:
    """One lane's decisions.

    Args:
        settings: Sizes and delays.
        clock: Where the time is read.
        draw: Draws the jitter of the delays; a test puts its own.

    Attributes:
        parking: The tasks that are set aside.
        last_failure: Why the last round failed; None when it did not.
        outage_ms: Since when the backend is unavailable, in milliseconds since 1970; None while it is not.
        retried: How many rounds failed in this run.
        plain_only: Whether the backend's contract has a route for each event, and none for many.
        on_trial: Whether the next event is to show that the backend is one of the standard contract: it goes alone.
    """

    def __init__(self, *, settings: LiveSettings, clock: Clock, draw: random.Random | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._breaker = Breaker(settings, draw)
        self._batch_limit = settings.now.batch.max_events
        self._plain_until = 0.0
        self._not_before = 0.0
        self._beats_by = math.inf  # when beats that are due go although the pause is not over
        self._only_parked = False  # nothing but the events of parked tasks was found to send
        self._last_was_parked = False
        self._storage_failed = False
        self._forbidden: Answer | None = None  # the last 403 since anything got through
        self._forbidden_pause = False  # whether the lane pauses for it
        self._beats_failed = 0  # rounds of heartbeats that failed since anything got through
        self.parking = Parking()
        self.last_failure: Answer | None = None
        self.outage_ms: int | None = None
        self.retried = 0
        self.plain_only = False
        self.on_trial = False

    # ── How it stands ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def profile(self) -> ProfileName:
        """How events are sent now."""
        plain = self.plain_only or self.on_trial or self._clock.monotonic() < self._plain_until
        return ProfileName.PLAIN if plain else ProfileName.BATCH

    @property
    def breaker(self) -> BreakerState:
        """Whether requests flow."""
        return self._breaker.state

    @property
    def next_try_in_s(self) -> float | None:
        """In how many seconds a failed round is tried again; None when none failed."""
        return max(0.0, self._not_before - self._clock.monotonic()) if self._breaker.failures else None

    @property
    def can_progress(self) -> bool:
        """Whether events that wait can be expected to be delivered soon."""
        return self._breaker.state is not BreakerState.OPEN and not self._only_parked

    def state(self, pending: int) -> LaneState:
        """What the lane does, in one word, while so many events wait."""
        if self._storage_failed:
            return LaneState.STORAGE_FAILED
        if self.last_failure is not None and self.last_failure.outcome in {Outcome.UNAUTHORIZED, Outcome.FORBIDDEN}:
            return LaneState.UNAUTHORIZED
        if self.last_failure is not None and self.last_failure.outcome is Outcome.NO_CONTRACT:
            return LaneState.NO_CONTRACT
        if self._breaker.failures:
            return LaneState.OUTAGE if self._breaker.state is BreakerState.OPEN else LaneState.RETRYING
        return LaneState.DELIVERING if pending else LaneState.IDLE

    # ── When the next round is, and what is in it ──────────────────────────────────────────────────────────────────

    def events_added(self) -> None:
        """Notes that there may be events of other tasks than the parked ones."""
        self._only_parked = False

    def retry_now(self) -> None:
        """Ends the pauses: there is reason to think that the backend is back."""
        self._not_before = 0.0
        self.parking.retry_now(self._clock.monotonic())
        self._only_parked = False

    def wait_s(self, *, pending: int, due_beats: int, requeues: bool) -> float | None:
        """How long to wait before the next round.

        Args:
            pending: How many events wait.
            due_beats: How many beats are due.
            requeues: Whether held events are to be requeued.

        Returns:
            Seconds, 0 or less for at once; None when there is nothing to do until the lane is woken.
        """
        now = self._clock.monotonic()
        if due_beats:
            return min(self._not_before, self._beats_by) - now
        if (pending > 0 and not self._only_parked) or requeues or self._due_parked(now):
            return self._not_before - now
        next_due = self.parking.next_due()
        return None if next_due is None else max(next_due, self._not_before) - now

    def plan_round(self, due_beats: int) -> RoundPlan | ParkedPlan:
        """What the next round is.

        Args:
            due_beats: How many beats are due.
        """
        if self._forbidden_pause:
            self.parking.clear_suspects()  # the pause is over: all are tried again
            self._forbidden, self._forbidden_pause = None, False
        due = self._due_parked(self._clock.monotonic())
        limit = self._max_events()
        batch = self._settings.now.batch
        room_bytes = batch.max_bytes - _ENVELOPE_BYTES
        # In turn with the others: neither many parked tasks nor a long queue may hold up the other.
        self._last_was_parked = bool(due) and (self._only_parked or not self._last_was_parked)
        if self._last_was_parked:
            return ParkedPlan(self.profile, tuple(due), min(self.parking.round_size, limit), room_bytes)
        # However much waits, beats have a share of each request; but none while a refused batch is searched for its fault.
        whole = self._batch_limit == batch.max_events
        share = min(due_beats, limit // _SHARE_OF_BEATS) if whole else 0
        profile = self.profile
        return RoundPlan(
            profile=profile,
            max_events=1 if self.on_trial or self._breaker.state is BreakerState.OPEN else limit - share,
            max_event_bytes=room_bytes // 2 if share else room_bytes,
            max_records=limit,
            max_bytes=room_bytes,
            beats_beside_events=whole,
            full_at=limit - share,
            reads_ahead=profile is ProfileName.BATCH and whole and not self._breaker.failures and not len(self.parking),
        )

    def nothing_found(self) -> bool:
        """Notes that no event was found but those of excluded tasks. Returns whether some are not excluded any more.

        When every task has failed as a probe, it is the backend, not one of them.
        """
        if self._forbidden is not None and self.parking.suspects:
            # All that waits is forbidden. They stay suspects in this round: a heartbeat may get through.
            self._pause(self._forbidden)
            self._forbidden_pause = True
            return False
        nothing_gets_through = self._breaker.state is BreakerState.OPEN
        return self.parking.clear_suspects(self._clock.monotonic() if nothing_gets_through else None)

    def events_found(self, count: int, pending: int, *, set_aside: int = 0) -> None:
        """Notes how many events were found for a round.

        Args:
            count: How many.
            pending: How many wait.
            set_aside: How many tasks are passed over for another reason than parking.
        """
        excluded = len(self.parking) + set_aside
        self._only_parked = not count and pending > 0 and excluded > 0 and not self.parking.suspects

    def unpark(self, task_ids: AbstractSet[str]) -> None:
        """Lets parked tasks go on as others do."""
        self.parking.unpark(task_ids)
        self._only_parked = False

    def _max_events(self) -> int:
        return min(self._batch_limit, _SMALL_ROUND) if self._breaker.failures else self._batch_limit

    def _due_parked(self, now: float) -> list[str]:
        """The parked tasks that may be tried: none while others fail, too, or nothing gets through."""
        state = self._breaker.state
        tried = state is BreakerState.CLOSED or (self._only_parked and state is BreakerState.RETRYING)
        return self.parking.due(now) if tried else []

    # ── What came of a round ───────────────────────────────────────────────────────────────────────────────────────

    def succeeded(self, plan: RoundPlan, *, offered: int, decided: int, started: float, beats: int = 0) -> Notice | None:
        """Takes in a regular round that did not fail.

        Args:
            plan: The round.
            offered: How many events were to be sent.
            decided: What became of how many of them is known.
            started: When it was sent, monotonic.
            beats: How many heartbeats were taken.
        """
        notice = self._got_through(decided + beats if self._forbidden is not None else decided)
        # A backend that takes full batches is being caught up with: the next one follows at once.
        full = decided < offered or offered >= plan.full_at
        self._not_before = 0.0 if full else started + self._settings.now.batch.min_interval_s
        return notice

    def failed(self, answer: Answer, undecided: Sequence[str], *, decided: int = 0, with_beats: bool = False) -> Notice | None:
        """Takes in a round that failed.

        Args:
            answer: Why.
            undecided: The tasks of the events that were not decided, in order.
            decided: How many events before them were.
            with_beats: Whether heartbeats went along.
        """
        if answer.outcome is Outcome.NO_ROUTE:
            self._plain_until = self._clock.monotonic() + self._settings.now.poll.recheck_batch_s
            return Notice(NoticeKind.PLAIN_PROFILE, answer.detail)
        if answer.outcome is Outcome.FORBIDDEN and undecided:
            alone = self.profile is ProfileName.PLAIN or (len(undecided) == 1 and not with_beats)
            if not alone:
                self._halve(len(undecided))
                return None
            return self._suspect_forbidden(undecided[0], answer, decided)
        if answer.outcome is Outcome.REFUSED:
            self._halve(len(undecided))
            return None
        self.retried += 1
        return self._pause(answer, undecided, with_beats=with_beats)

    def _suspect_forbidden(self, task_id: str, answer: Answer, decided: int) -> Notice | None:
        self.retried += 1
        notice = self._got_through(decided) if decided else None
        self.parking.suspect(task_id, answer.detail)
        if decided:
            self.parking.park_suspects(self._clock.monotonic())
        else:
            self._forbidden = answer
        return notice

    def beats_failed(self, answer: Answer, count: int) -> Notice | None:
        """Takes in a round in which single heartbeats failed, and nothing else was sent.

        Args:
            answer: What the backend answered to the last of them.
            count: How many failed.
        """
        self._beats_failed += 1
        if count > 1 or self._breaker.failures or self._beats_failed > _FEW_BEATS:
            return self._pause(answer)
        return None

    def _pause(self, answer: Answer, undecided: Sequence[str] = (), *, with_beats: bool = False) -> Notice | None:
        now = self._clock.monotonic()
        self.last_failure = answer
        if answer.status is not None and answer.outcome is Outcome.TRANSIENT:
            if len(undecided) > 1 or (undecided and with_beats):
                self._halve(len(undecided))
            elif undecided and self._breaker.state is BreakerState.OPEN and answer.status != _TOO_MANY:
                self.parking.suspect(undecided[0], answer.detail)
        self._not_before = now + self._breaker.failed(answer.retry_after_s)
        # A beat that is due is a probe, too: a backend that is back learns who lives within one beat's time.
        self._beats_by = now + self._settings.now.heartbeat.interval_s if answer.retry_after_s is None else math.inf
        if self.outage_ms is None and self._breaker.state is BreakerState.OPEN:
            self.outage_ms = self._clock.wall_ms()
            return Notice(NoticeKind.OUTAGE_BEGAN, answer.detail)
        return None

    def tried(
        self, plan: ParkedPlan, *, decided: AbstractSet[str], failure: Answer | None, undecided: Sequence[str]
    ) -> Notice | None:
        """Takes in a round of parked tasks. They are tried many together, and alone the one that fails.

        Args:
            plan: The round.
            decided: The tasks with events whose fate is known.
            failure: Why the other events are undecided; None when there are none.
            undecided: Their tasks, in order.
        """
        if decided:
            self.parking.succeeded(decided - {undecided[0]} if failure is not None else decided)
            self._only_parked = False
        if failure is None:
            return self._got_through(len(decided))
        if failure.outcome is Outcome.REFUSED:
            self.parking.failed_together(len(undecided))
        elif failure.outcome not in {Outcome.TRANSIENT, Outcome.FORBIDDEN} or failure.status in {None, _TOO_MANY}:
            return self.failed(failure, ())  # the way to the backend, not the event
        else:
            now, settings = self._clock.monotonic(), self._settings.now
            self.retried += 1
            self._not_before = now + max(settings.batch.min_interval_s, failure.retry_after_s or 0.0)
            if len(undecided) > 1 and plan.profile is ProfileName.BATCH:
                self.parking.failed_together(len(undecided))
            elif failure.outcome is Outcome.FORBIDDEN and self.parking.tries(undecided[0]) + 1 >= _MOST_FORBIDDEN:
                self.unpark({undecided[0]})
                return Notice(NoticeKind.EVENT_FORBIDDEN, failure.detail, task_id=undecided[0])
            elif self.parking.failed(undecided[0], now, failure.detail, settings.retry.max_delay_s):
                return Notice(NoticeKind.TASK_PARKED, failure.detail, task_id=undecided[0])
        return None

    def recorded(self) -> None:
        """Notes that what became of a round's events could be recorded, or that there was nothing to record."""
        self._storage_failed = False

    def storage_failed(self) -> bool:
        """Takes in that it could not be recorded. Returns whether that is news."""
        news, self._storage_failed = not self._storage_failed, True
        self._halve(self._batch_limit)  # the record of less needs less room
        self._not_before = self._clock.monotonic() + self._settings.now.retry.max_delay_s / _STORAGE_PAUSES
        return news

    def _got_through(self, decided: int) -> Notice | None:
        notice = None
        if self.outage_ms is not None:
            lasted_s = round((self._clock.wall_ms() - self.outage_ms) / 1000, 1)
            notice = Notice(NoticeKind.OUTAGE_ENDED, lasted_s=lasted_s)
            self.outage_ms = None
        if decided:
            self.parking.park_suspects(self._clock.monotonic())
        self._forbidden, self._forbidden_pause = None, False
        self._beats_failed = 0
        self._breaker.succeeded()
        self._beats_by = math.inf
        self.last_failure = None
        self._batch_limit = min(self._batch_limit * 2, self._settings.now.batch.max_events)
        return notice

    def _halve(self, count: int) -> None:
        self._batch_limit = max(1, count // 2)

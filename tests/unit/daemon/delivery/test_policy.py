"""What a lane sends next, by what came of its last round: on a clock that a test moves, with delays at their upper bound."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from clawlogd.delivery.plans import Notice, NoticeKind, ProfileName, RoundPlan, TrialPlan
from clawlogd.delivery.policy import DeliveryPolicy
from clawlogd.delivery.report import LaneState
from clawlogd.settings import Batch, Heartbeat, LiveSettings, Poll, Retry, Settings
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.breaker import BreakerState
from support.sidecar import SteppedClock

SETTINGS = Settings(
    batch=Batch(max_events=1000, max_bytes=1_004_096, min_interval_s=0.2),
    retry=Retry(max_delay_s=60.0),
    heartbeat=Heartbeat(interval_s=15.0),
    poll=Poll(recheck_batch_s=600.0),
)
DOWN = Answer(Outcome.TRANSIENT, "cannot connect")
FAULTY = Answer(Outcome.TRANSIENT, "HTTP 500", 500)
BUSY = Answer(Outcome.TRANSIENT, "HTTP 429", 429, retry_after_s=30.0)
REFUSED = Answer(Outcome.REFUSED, "HTTP 413", 413)
NO_ROUTE = Answer(Outcome.NO_ROUTE, "HTTP 404", 404)
UNAUTHORIZED = Answer(Outcome.UNAUTHORIZED, "HTTP 401", 401)
FORBIDDEN = Answer(Outcome.FORBIDDEN, "HTTP 403", 403)


class Longest(random.Random):
    """Draws the upper bound always."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lane:
    """Plays the lane: asks for rounds, and says what came of them."""

    def __init__(self, clock: SteppedClock, draw: random.Random | None = None) -> None:
        self.clock = clock
        self.policy = DeliveryPolicy(settings=LiveSettings(SETTINGS), clock=clock, draw=draw or Longest())

    def wait_s(self, pending: int = 1, due_beats: int = 0, *, requeues: bool = False) -> float | None:
        waits = self.policy.wait_s(pending=pending, due_beats=due_beats, requeues=requeues)
        return None if waits is None else round(waits, 3)

    def plan(self, due_beats: int = 0) -> RoundPlan:
        plan = self.policy.plan_round(due_beats)
        assert isinstance(plan, RoundPlan)
        return plan

    def trial(self) -> TrialPlan:
        plan = self.policy.plan_round(0)
        assert isinstance(plan, TrialPlan)
        return plan

    def succeed(self, offered: int = 1, decided: int | None = None) -> Notice | None:
        decided = offered if decided is None else decided
        return self.policy.succeeded(self.plan(), offered=offered, decided=decided, started=self.clock.monotonic())

    def fail(self, answer: Answer, undecided: Sequence[str] = ("t",), times: int = 1) -> Notice | None:
        for _ in range(times):
            notice = self.policy.failed(answer, undecided)
        return notice

    def open_breaker(self, answer: Answer = DOWN) -> None:
        self.fail(answer, ("a", "b"), times=4)
        assert self.policy.breaker is BreakerState.OPEN

    def park(self, *task_ids: str) -> None:
        """Parks tasks as their probes fail and another gets through."""
        self.open_breaker()
        for task_id in task_ids:
            self.fail(FAULTY, (task_id,))
        plan = self.plan()
        for _ in range(12):  # until the batches have their full size again
            self.policy.succeeded(plan, offered=1, decided=1, started=self.clock.monotonic())


@pytest.fixture
def lane(clock: SteppedClock) -> Lane:
    return Lane(clock)


# ── What goes into a round ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("due_beats", "expected"),
    [
        (0, {"max_events": 1000, "max_event_bytes": 1_000_000, "full_at": 1000}),
        (40, {"max_events": 960, "max_event_bytes": 500_000, "full_at": 960}),
        (5000, {"max_events": 750, "max_event_bytes": 500_000, "full_at": 750}),  # a quarter is for beats
    ],
)
def test_a_round_that_follows_success_is_a_full_batch_with_a_share_for_the_beats_that_are_due(
    lane: Lane, due_beats: int, expected: dict[str, int]
) -> None:
    plan = lane.plan(due_beats)
    assert {name: getattr(plan, name) for name in expected} == expected
    assert (plan.max_records, plan.max_bytes) == (1000, 1_000_000)
    assert (plan.profile, plan.beats_beside_events, plan.reads_ahead) == (ProfileName.BATCH, True, True)


@pytest.mark.parametrize(
    ("answer", "undecided", "max_events", "beats"),
    [
        (REFUSED, 1000, 500, False),  # a refused batch is halved, and its beats wait until the fault is found
        (REFUSED, 7, 3, False),
        (REFUSED, 2, 1, False),
        (FAULTY, 1000, 100, False),  # and a small round follows a failure
        (FAULTY, 60, 30, False),
        (DOWN, 1000, 100, True),  # nobody answered: the batch is not to blame
        (UNAUTHORIZED, 1000, 100, True),
        (NO_ROUTE, 1000, 1000, True),  # each event by its own route: the round ends by its time
    ],
)
def test_a_failed_round_is_followed_by_a_smaller_one(
    lane: Lane, answer: Answer, undecided: int, max_events: int, *, beats: bool
) -> None:
    lane.fail(answer, ["t"] * undecided)
    plan = lane.plan()
    assert (plan.max_events, plan.beats_beside_events) == (max_events, beats)
    assert not plan.reads_ahead


def test_with_every_success_the_batches_double_until_they_are_full_again(lane: Lane) -> None:
    lane.fail(REFUSED, ["t"] * 2)
    sizes = []
    for _ in range(11):
        sizes.append(lane.plan().max_events)
        lane.succeed()
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    assert lane.plan().reads_ahead


def test_while_the_breaker_is_open_a_round_is_a_probe_with_a_single_event_and_the_beats(lane: Lane) -> None:
    lane.open_breaker()
    plan = lane.plan(due_beats=500)
    assert (plan.max_events, plan.max_records, plan.beats_beside_events, plan.reads_ahead) == (1, 100, True, False)


def test_a_server_without_the_batch_route_gets_single_events_and_is_asked_again_later(lane: Lane, clock: SteppedClock) -> None:
    assert lane.fail(NO_ROUTE) == Notice(NoticeKind.PLAIN_PROFILE, "HTTP 404")
    assert (lane.policy.profile, lane.plan().profile) == (ProfileName.PLAIN, ProfileName.PLAIN)
    assert (lane.plan().max_events, lane.plan().reads_ahead) == (1000, False)
    assert (lane.policy.breaker, lane.wait_s()) == (BreakerState.CLOSED, -clock.monotonic())
    clock.pass_(600)
    assert lane.plan().profile is ProfileName.BATCH


# ── When it is ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offered", "decided", "wait_s"),
    [
        (1000, 1000, None),  # a full batch: the next follows at once
        (10, 10, 0.2),
        (10, 4, None),  # a created task's ids are needed before its next event is sent
        (0, 0, 0.2),  # beats alone
    ],
)
def test_a_full_round_is_followed_at_once_and_another_after_the_shortest_interval(
    lane: Lane, offered: int, decided: int, wait_s: float | None
) -> None:
    lane.succeed(offered, decided)
    waits = lane.wait_s()
    assert waits is not None
    assert waits == wait_s if wait_s is not None else waits <= 0


def test_without_anything_to_send_it_waits_to_be_woken(lane: Lane) -> None:
    assert lane.wait_s(pending=0) is None
    for work in ({"pending": 1}, {"pending": 0, "due_beats": 1}, {"pending": 0, "requeues": True}):
        waits = lane.wait_s(**work)
        assert waits is not None
        assert waits <= 0


def test_failures_are_tried_again_quickly_then_less_and_less_often(lane: Lane) -> None:
    pauses = []
    for _ in range(12):
        lane.fail(DOWN)
        pauses.append(lane.wait_s())
    assert pauses == [0.2, 0.4, 0.8, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert lane.policy.retried == 12


def test_the_same_seed_draws_the_same_delays_and_none_is_over_its_bound(clock: SteppedClock) -> None:
    drawn: list[list[float | None]] = []
    for seed in (1, 1, 2):
        lane = Lane(clock, random.Random(seed))
        drawn.append([])
        for bound in (0.2, 0.4, 0.8, 1.0, 2.0):
            lane.fail(DOWN)
            waits = lane.wait_s()
            assert waits is not None
            assert 0 <= waits <= bound
            drawn[-1].append(waits)
    assert drawn[0] == drawn[1] != drawn[2]


def test_beats_that_are_due_are_a_probe_within_one_beats_time_unless_the_server_asked_for_quiet(
    lane: Lane, clock: SteppedClock
) -> None:
    lane.fail(DOWN, times=10)
    assert (lane.wait_s(), lane.wait_s(due_beats=1)) == (60.0, 15.0)
    clock.pass_(10)
    assert (lane.wait_s(), lane.wait_s(due_beats=1)) == (50.0, 5.0)
    lane.succeed()
    lane.fail(BUSY)
    assert (lane.wait_s(), lane.wait_s(due_beats=1)) == (30.0, 30.0)


def test_a_reason_to_think_that_the_backend_is_back_ends_the_pause(lane: Lane) -> None:
    lane.fail(DOWN, times=10)
    lane.policy.retry_now()
    waits = lane.wait_s()
    assert waits is not None
    assert waits <= 0
    assert lane.policy.breaker is BreakerState.OPEN


# ── Outages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_outage_is_noticed_once_and_its_end_too(lane: Lane, clock: SteppedClock) -> None:
    assert [lane.fail(DOWN) for _ in range(3)] == [None] * 3
    assert lane.fail(DOWN) == Notice(NoticeKind.OUTAGE_BEGAN, "cannot connect")
    assert lane.policy.outage_ms == clock.wall_ms()
    assert lane.fail(DOWN) is None
    clock.pass_(12.34)
    assert lane.succeed() == Notice(NoticeKind.OUTAGE_ENDED, lasted_s=12.3)
    assert (lane.policy.outage_ms, lane.policy.last_failure, lane.succeed()) == (None, None, None)


@pytest.mark.parametrize(
    ("answers", "pending", "expected"),
    [
        ([], 0, (LaneState.IDLE, True)),
        ([], 1, (LaneState.DELIVERING, True)),
        ([DOWN], 1, (LaneState.RETRYING, True)),
        ([DOWN] * 4, 1, (LaneState.OUTAGE, False)),
        ([UNAUTHORIZED], 1, (LaneState.UNAUTHORIZED, True)),
        ([UNAUTHORIZED] * 4, 0, (LaneState.UNAUTHORIZED, False)),
        ([DOWN] * 4 + [UNAUTHORIZED], 1, (LaneState.UNAUTHORIZED, False)),
        ([NO_ROUTE], 1, (LaneState.DELIVERING, True)),
        ([REFUSED], 1, (LaneState.DELIVERING, True)),
    ],
)
def test_its_state_in_one_word_and_whether_it_is_of_use_to_wait(
    lane: Lane, answers: list[Answer], pending: int, expected: tuple[LaneState, bool]
) -> None:
    for answer in answers:
        lane.fail(answer)
    assert (lane.policy.state(pending), lane.policy.can_progress) == expected


def test_what_cannot_be_recorded_makes_small_rounds_with_pauses_until_it_can(lane: Lane) -> None:
    assert lane.policy.storage_failed() is True
    assert lane.policy.storage_failed() is False
    assert (lane.plan().max_events, lane.wait_s(), lane.policy.state(1)) == (250, 5.0, LaneState.STORAGE_FAILED)
    lane.policy.recorded()
    assert lane.policy.state(1) is LaneState.DELIVERING
    assert lane.policy.storage_failed() is True


# ── Parked tasks ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("breaker_open", "answer", "undecided", "suspect"),
    [
        (True, FAULTY, ("a",), True),
        (False, FAULTY, ("a",), False),  # it may be a passing fault
        (True, FAULTY, ("a", "b"), False),  # not known which
        (True, BUSY, ("a",), False),
        (True, DOWN, ("a",), False),
        (True, UNAUTHORIZED, ("a",), False),
    ],
)
def test_a_task_is_suspected_when_a_probe_with_its_event_alone_fails_at_the_backend(
    lane: Lane, answer: Answer, undecided: tuple[str, ...], *, breaker_open: bool, suspect: bool
) -> None:
    if breaker_open:
        lane.open_breaker()
    lane.fail(answer, undecided)
    assert lane.policy.parking.excluded == ({"a"} if suspect else set())


def test_suspects_are_parked_when_an_event_of_another_task_gets_through_and_not_when_a_beat_does(lane: Lane) -> None:
    lane.open_breaker()
    lane.fail(FAULTY, ("a",))
    lane.succeed(offered=0)
    assert (len(lane.policy.parking), lane.policy.parking.excluded) == (0, {"a"})
    lane.succeed()
    assert len(lane.policy.parking) == 1


def test_when_every_task_has_failed_as_a_probe_it_is_the_backend(lane: Lane) -> None:
    lane.open_breaker()
    lane.fail(FAULTY, ("a",))
    lane.fail(FAULTY, ("b",))
    assert lane.policy.nothing_found() is True
    assert lane.policy.parking.excluded == set()
    assert lane.policy.nothing_found() is False


def test_parked_tasks_are_tried_in_turn_with_the_others(lane: Lane) -> None:
    lane.park("a", "b")
    kinds = [type(lane.policy.plan_round(0)) for _ in range(4)]
    assert sorted(kinds[:2], key=str) == [RoundPlan, TrialPlan]
    assert kinds[:2] == kinds[2:]


def test_when_only_parked_tasks_are_left_every_round_is_theirs_and_waits_until_they_are_due(
    lane: Lane, clock: SteppedClock
) -> None:
    lane.park("a")
    lane.policy.events_found(0, pending=1)
    assert not lane.policy.can_progress
    for pause_s in (5.0, 10.0, 20.0, 40.0, 60.0):
        trial = lane.trial()
        assert trial.task_ids == ("a",)
        lane.policy.tried(trial, decided=set(), failure=FAULTY, undecided=("a",))
        assert lane.wait_s() == pause_s
        clock.pass_(pause_s)
    lane.policy.events_added()
    assert lane.policy.can_progress


def tried(lane: Lane, **came: Any) -> Notice | None:
    return lane.policy.tried(lane.trial(), **{"decided": set(), "failure": None, "undecided": (), **came})


def only_parked(lane: Lane, *task_ids: str) -> None:
    lane.park(*task_ids)
    lane.policy.events_found(0, pending=1)


def test_a_trial_that_gets_through_frees_its_tasks(lane: Lane) -> None:
    only_parked(lane, "a", "b")
    assert lane.trial().max_events == 1000
    assert tried(lane, decided={"a", "b"}) is None
    assert (len(lane.policy.parking), lane.policy.can_progress) == (0, True)


@pytest.mark.parametrize("failure", [REFUSED, FAULTY])
def test_a_trial_that_fails_is_halved_until_the_one_to_blame_is_alone(lane: Lane, failure: Answer) -> None:
    only_parked(lane, "a", "b", "c", "d")
    assert tried(lane, failure=failure, undecided=("a", "b", "c", "d")) is None
    assert lane.trial().max_events == 2
    assert tried(lane, failure=failure, undecided=("a", "b")) is None
    assert lane.trial().max_events == 1
    assert tried(lane, failure=FAULTY, undecided=("a",)) == Notice(NoticeKind.TASK_PARKED, "HTTP 500", task_id="a")
    assert lane.trial().task_ids == ("b", "c", "d")


def test_by_single_routes_the_one_to_blame_is_the_one_that_fails(lane: Lane) -> None:
    only_parked(lane, "a", "b", "c")
    lane.fail(NO_ROUTE)
    notice = tried(lane, decided={"a", "b"}, failure=FAULTY, undecided=("b", "c"))
    assert notice == Notice(NoticeKind.TASK_PARKED, "HTTP 500", task_id="b")
    assert lane.policy.parking.excluded == {"b", "c"}


@pytest.mark.parametrize("failure", [DOWN, BUSY, UNAUTHORIZED])
def test_a_trial_that_fails_on_the_way_to_the_backend_is_the_fault_of_none_of_its_tasks(lane: Lane, failure: Answer) -> None:
    only_parked(lane, "a")
    assert tried(lane, failure=failure, undecided=("a",)) is None
    assert (lane.policy.breaker, lane.policy.last_failure) == (BreakerState.RETRYING, failure)
    assert lane.policy.parking.due(lane.clock.monotonic()) == ["a"]


def test_nothing_is_tried_of_parked_tasks_while_others_fail_too(lane: Lane) -> None:
    lane.park("a")
    lane.fail(DOWN)
    assert [type(lane.policy.plan_round(0)) for _ in range(3)] == [RoundPlan] * 3


def test_a_parked_task_with_a_damaged_record_goes_on_in_its_turn(lane: Lane) -> None:
    only_parked(lane, "a", "b")
    lane.policy.unpark({"a"})
    assert (lane.policy.parking.excluded, lane.policy.can_progress) == ({"b"}, True)


# ── What is forbidden ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_neighbours_of_a_forbidden_event_are_tried_at_once(lane: Lane) -> None:
    lane.fail(FORBIDDEN, ("a",))
    assert (lane.policy.parking.excluded, lane.policy.breaker) == ({"a"}, BreakerState.CLOSED)
    assert (lane.wait_s() or 0) <= 0
    lane.succeed()
    assert (len(lane.policy.parking), lane.policy.state(1)) == (1, LaneState.DELIVERING)


def test_a_forbidden_batch_is_halved_and_sent_without_heartbeats(lane: Lane) -> None:
    lane.fail(FORBIDDEN, ("a", "b", "c", "d"))
    assert lane.plan().max_events == 2
    lane.policy.failed(FORBIDDEN, ("a",), with_beats=True)
    plan = lane.plan(due_beats=1)
    assert (plan.max_events, plan.beats_beside_events, lane.policy.parking.excluded) == (1, False, set())


def test_the_lane_pauses_when_all_is_forbidden_and_tries_all_again(lane: Lane) -> None:
    for task_id in ("a", "b"):
        lane.fail(FORBIDDEN, (task_id,))
    assert lane.policy.nothing_found() is False
    assert lane.policy.state(2) is LaneState.UNAUTHORIZED
    assert lane.wait_s() == 0.2
    lane.plan()
    assert lane.policy.parking.excluded == set()


def test_a_heartbeat_that_gets_through_meanwhile_shows_that_it_is_the_event(lane: Lane) -> None:
    lane.fail(FORBIDDEN, ("a",))
    plan = lane.plan()
    lane.policy.nothing_found()
    lane.policy.succeeded(plan, offered=0, decided=0, beats=1, started=lane.clock.monotonic())
    assert (len(lane.policy.parking), lane.policy.breaker) == (1, BreakerState.CLOSED)


def test_an_event_that_is_forbidden_again_and_again_is_given_up(lane: Lane) -> None:
    lane.fail(FORBIDDEN, ("a",))
    lane.succeed()
    notices = []
    for _ in range(5):
        lane.clock.pass_(60)
        plan = lane.policy.plan_round(0)
        while not isinstance(plan, TrialPlan):
            plan = lane.policy.plan_round(0)
        notices.append(lane.policy.tried(plan, decided=set(), failure=FORBIDDEN, undecided=("a",)))
    kinds = [notice.kind if notice else None for notice in notices]
    assert kinds == [NoticeKind.TASK_PARKED, None, None, None, NoticeKind.EVENT_FORBIDDEN]
    assert lane.policy.parking.excluded == set()


# ── Heartbeats that fail ───────────────────────────────────────────────────────────────────────────────────────────


def test_one_tasks_heartbeat_that_fails_is_borne_a_few_times(lane: Lane) -> None:
    for _ in range(2):
        lane.policy.beats_failed(FAULTY, 1)
        assert lane.policy.breaker is BreakerState.CLOSED
    lane.policy.beats_failed(FAULTY, 1)
    assert lane.policy.breaker is BreakerState.RETRYING


def test_heartbeats_of_several_tasks_that_fail_are_the_backends_fault(lane: Lane) -> None:
    lane.policy.beats_failed(FAULTY, 2)
    assert lane.policy.breaker is BreakerState.RETRYING

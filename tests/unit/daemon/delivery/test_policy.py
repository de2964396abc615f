"""What a lane sends next, by what came of its last round: on a clock that a test moves, with delays at their upper bound."""

from __future__ import annotations

import random

import pytest

from clawlogd.delivery.plans import Notice, NoticeKind, ParkedPlan, ProfileName
from clawlogd.delivery.report import LaneState
from clawlogd.upstream.answers import Answer
from clawlogd.upstream.breaker import BreakerState
from support.sidecar import SteppedClock
from unit.daemon.delivery.conftest import (
    BUSY,
    DOWN,
    FAULTY,
    FORBIDDEN,
    NO_ROUTE,
    REFUSED,
    UNAUTHORIZED,
    Lane,
)

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
        while not isinstance(plan, ParkedPlan):
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

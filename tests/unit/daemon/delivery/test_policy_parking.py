"""Which tasks a lane's policy parks, and how it tries them: on a clock that a test moves, with delays at their upper bound."""

from __future__ import annotations

from typing import Any

import pytest

from clawlogd.delivery.plans import Notice, NoticeKind, ParkedPlan, RoundPlan
from clawlogd.upstream.answers import Answer
from clawlogd.upstream.breaker import BreakerState
from support.sidecar import SteppedClock
from unit.daemon.delivery.conftest import (
    BUSY,
    DOWN,
    FAULTY,
    NO_ROUTE,
    REFUSED,
    UNAUTHORIZED,
    Lane,
)


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
    assert sorted(kinds[:2], key=str) == [ParkedPlan, RoundPlan]
    assert kinds[:2] == kinds[2:]


def test_when_only_parked_tasks_are_left_every_round_is_theirs_and_waits_until_they_are_due(
    lane: Lane, clock: SteppedClock
) -> None:
    lane.park("a")
    lane.policy.events_found(0, pending=1)
    assert not lane.policy.can_progress
    for pause_s in (5.0, 10.0, 20.0, 40.0, 60.0):
        plan = lane.parked_round()
        assert plan.task_ids == ("a",)
        lane.policy.tried(plan, decided=set(), failure=FAULTY, undecided=("a",))
        assert lane.wait_s() == pause_s
        clock.pass_(pause_s)
    lane.policy.events_added()
    assert lane.policy.can_progress


def tried(lane: Lane, **came: Any) -> Notice | None:
    return lane.policy.tried(lane.parked_round(), **{"decided": set(), "failure": None, "undecided": (), **came})


def only_parked(lane: Lane, *task_ids: str) -> None:
    lane.park(*task_ids)
    lane.policy.events_found(0, pending=1)


def test_a_parked_round_that_gets_through_frees_its_tasks(lane: Lane) -> None:
    only_parked(lane, "a", "b")
    assert lane.parked_round().max_events == 1000
    assert tried(lane, decided={"a", "b"}) is None
    assert (len(lane.policy.parking), lane.policy.can_progress) == (0, True)


@pytest.mark.parametrize("failure", [REFUSED, FAULTY])
def test_a_parked_round_that_fails_is_halved_until_the_one_to_blame_is_alone(lane: Lane, failure: Answer) -> None:
    only_parked(lane, "a", "b", "c", "d")
    assert tried(lane, failure=failure, undecided=("a", "b", "c", "d")) is None
    assert lane.parked_round().max_events == 2
    assert tried(lane, failure=failure, undecided=("a", "b")) is None
    assert lane.parked_round().max_events == 1
    assert tried(lane, failure=FAULTY, undecided=("a",)) == Notice(NoticeKind.TASK_PARKED, "HTTP 500", task_id="a")
    assert lane.parked_round().task_ids == ("b", "c", "d")


def test_by_single_routes_the_one_to_blame_is_the_one_that_fails(lane: Lane) -> None:
    only_parked(lane, "a", "b", "c")
    lane.fail(NO_ROUTE)
    notice = tried(lane, decided={"a", "b"}, failure=FAULTY, undecided=("b", "c"))
    assert notice == Notice(NoticeKind.TASK_PARKED, "HTTP 500", task_id="b")
    assert lane.policy.parking.excluded == {"b", "c"}


@pytest.mark.parametrize("failure", [DOWN, BUSY, UNAUTHORIZED])
def test_a_parked_round_that_fails_on_the_way_to_the_backend_is_the_fault_of_none_of_its_tasks(
    lane: Lane, failure: Answer
) -> None:
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

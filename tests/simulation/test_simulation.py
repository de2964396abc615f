"""Sixty seeds, those that ever failed, one seed twice, and the faults that are planted: each is found."""

from __future__ import annotations

import pytest

from simulation.mutations import MUTATIONS
from simulation.plan import Item, Knobs, Plan
from simulation.runner import run_all
from simulation.shrink import shorten

HOURS = 24.0
QUICK_SEEDS = 60
QUICK_HOURS = 2.0  # as busy as a day, for the idle time is what is left out

ONCE_FAILED = (1, 16, 34, 36, 46, 49, 54, 58)
"""Seeds that found something, in the daemon or in the model."""


@pytest.mark.timeout(180)
def test_sixty_seeds_find_nothing() -> None:
    failed = {verdict.seed: verdict.violations for verdict in run_all(range(QUICK_SEEDS), QUICK_HOURS) if verdict.violations}
    assert not failed


@pytest.mark.timeout(180)
def test_seeds_that_once_failed_find_nothing_any_more() -> None:
    failed = {verdict.seed: verdict.violations for verdict in run_all(ONCE_FAILED, HOURS) if verdict.violations}
    assert not failed


@pytest.mark.timeout(60)
def test_two_runs_of_one_seed_are_the_same_in_any_process() -> None:
    first, second = ({v.seed: v.digest for v in run_all((3, 7), QUICK_HOURS, workers=workers)} for workers in (1, 2))
    assert first == second


def test_a_history_is_shortened_to_what_it_takes() -> None:
    knobs = Knobs(15.0, 120.0, 30.0, 5.0, 20.0, 50.0, has_plain=False)
    plan = Plan(0, 1.0, knobs, tuple(Item(float(number), "crash") for number in range(40)))
    shorter = shorten(plan, lambda tried: {7.0, 31.0} <= {item.at_s for item in tried.items})
    assert [item.at_s for item in shorter.items] == [7.0, 31.0]


FOUND_BY = {
    "the idempotency key is minted anew at each attempt": 0,
    "a reply leaves before its commit": 0,
    "a heartbeat is sent though its task has ended meanwhile": 16,
    "an acknowledgement does not say which stop it answers": 0,
    "the spool is drained late": 0,
    "a parked task is never tried again": 6,
    "'no stop' is answered whatever the age of what is known": 2,
    "an agent that waits for a person loses its lease": 1,
    "a process's end is not noticed": 1,
    "a lost answer is taken for a delivery": 1,
    "the newest events are sent first": 0,
}
"""A seed that finds each planted fault. A change of the plan or of the daemon's draws may want others."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", MUTATIONS)
def test_a_planted_fault_is_found(fault: str) -> None:
    (verdict,) = run_all([FOUND_BY[fault]], QUICK_HOURS, mutation=fault)
    assert verdict.violations

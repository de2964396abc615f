"""A lane's policy, played: on a clock that a test moves, with delays at their upper bound."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from clawlogd.delivery.plans import Notice, ParkedPlan, RoundPlan
from clawlogd.delivery.policy import DeliveryPolicy
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

    def parked_round(self) -> ParkedPlan:
        plan = self.policy.plan_round(0)
        assert isinstance(plan, ParkedPlan)
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

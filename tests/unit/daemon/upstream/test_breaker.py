"""When a lane tries again."""

from __future__ import annotations

import random

from clawlogd.settings import LiveSettings, Retry, Settings
from clawlogd.upstream.breaker import Breaker, BreakerState


class Longest(random.Random):
    """Draws the upper bound always."""

    def uniform(self, a: float, b: float) -> float:
        return b


def breaker(draw: random.Random | None = None, **retry: float) -> Breaker:
    return Breaker(LiveSettings(Settings(retry=Retry(**retry))), draw)  # type: ignore[arg-type]


def test_three_quick_tries_then_probes_ever_further_apart_up_to_the_bound() -> None:
    tried = breaker(Longest(), max_delay_s=10.0)
    assert [tried.failed() for _ in range(9)] == [0.2, 0.4, 0.8, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_it_is_open_once_the_quick_tries_are_used_up_and_closed_by_a_success() -> None:
    tried = breaker()
    states = [tried.state]
    for _ in range(5):
        tried.failed()
        states.append(tried.state)
    assert states == [BreakerState.CLOSED, *[BreakerState.RETRYING] * 3, *[BreakerState.OPEN] * 2]
    tried.succeeded()
    assert (tried.state, tried.failures) == (BreakerState.CLOSED, 0)


def test_delays_are_drawn_from_zero_to_the_bound() -> None:
    drawn = []
    for seed in range(300):
        tried = breaker(random.Random(seed))
        drawn.append([tried.failed() for _ in range(4)])
    for position, bound in enumerate((0.2, 0.4, 0.8, 1.0)):
        delays = [each[position] for each in drawn]
        assert 0 <= min(delays) < bound / 10
        assert bound * 0.9 < max(delays) <= bound


def test_a_delay_is_never_shorter_than_the_server_asked_for() -> None:
    tried = breaker(random.Random(1))
    assert tried.failed(retry_after_s=30.0) == 30.0
    assert breaker(Longest(), max_delay_s=60.0).failed(retry_after_s=0.1) == 0.2


def test_thousands_of_failures_do_no_harm() -> None:
    tried = breaker(Longest())
    for _ in range(5000):
        delay_s = tried.failed()
    assert delay_s == 60.0

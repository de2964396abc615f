"""How often one client may ask."""

from __future__ import annotations

import pytest

from clawlog_backend.domain.errors import Busy
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.limits import BURST_S, RateLimiter

NOW = UtcMs.parse("2026-02-28T09:00:00Z")


def ask(rates: RateLimiter, address: str, times: int, *, after_ms: int = 0) -> int:
    """How many of so many requests pass."""
    passed = 0
    for _ in range(times):
        try:
            rates.check(address, NOW.plus(ms=after_ms))
        except Busy:
            pass
        else:
            passed += 1
    return passed


def test_a_burst_passes_then_only_the_rate() -> None:
    rates = RateLimiter(2)
    assert ask(rates, "192.0.2.1", 30) == 2 * BURST_S
    assert ask(rates, "192.0.2.1", 30, after_ms=1_500) == 3
    assert ask(rates, "192.0.2.1", 5, after_ms=500) == 0, "a clock that was put back gives nothing"
    assert ask(rates, "192.0.2.1", 100, after_ms=1_000_000) == 2 * BURST_S


def test_who_waits_as_long_as_told_passes() -> None:
    rates = RateLimiter(0.5)
    assert ask(rates, "192.0.2.1", 5) == 5
    with pytest.raises(Busy) as refused:
        rates.check("192.0.2.1", NOW)
    assert ask(rates, "192.0.2.1", 1, after_ms=refused.value.retry_after_s * 1000) == 1


def test_one_client_does_not_use_up_anothers_share() -> None:
    rates = RateLimiter(1)
    ask(rates, "192.0.2.1", 100)
    ask(rates, "2001:db8:0:1::1", 100)
    assert ask(rates, "192.0.2.2", 1) == ask(rates, "2001:db8:0:2::1", 1) == 1
    assert ask(rates, "2001:db8:0:1::2", 1) == 0, "addresses of one network are one client's"
    assert ask(rates, "::ffff:192.0.2.1", 1) == 0, "the same address in its other form"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", ""])
def test_clients_on_this_machine_are_not_counted(address: str) -> None:
    assert ask(RateLimiter(1), address, 1_000) == 1_000


def test_without_a_bound_everything_passes() -> None:
    assert ask(RateLimiter(0), "192.0.2.1", 1_000) == 1_000


def test_what_is_remembered_is_bounded() -> None:
    rates = RateLimiter(1)
    for n in range(12_000):
        rates.check(f"10.0.{n // 256}.{n % 256}", NOW)
    assert len(rates) == 10_000

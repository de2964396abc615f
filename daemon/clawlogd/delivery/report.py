"""A lane as ``daemon.status`` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawlogd.upstream.breaker import BreakerState


class LaneState(StrEnum):
    """What a lane is doing, for people."""

    IDLE = "idle"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    OUTAGE = "outage"
    UNAUTHORIZED = "unauthorized"
    NO_CONTRACT = "no_contract"
    STORAGE_FAILED = "storage_failed"


@dataclass(frozen=True, slots=True)
class LaneReport:
    """A lane as ``daemon.status`` shows it; times in RFC 3339, ages in seconds.

    Attributes:
        resyncing: How many tasks are being told anew, for the backend does not know them any more.
        unmapped_tasks: How many tasks have steps that the backend names in a way that could not be told from others.
        contract: Where it is from how the backend is spoken to: ``standard``, ``found``, ``missing`` or ``unknown``.
        contract_detail: Where the contract is from; or what was looked for and not found.
        token_sent: Whether the request that failed last bore a token; None when none failed.
    """

    base_url: str
    state: LaneState
    profile: str
    reachable: bool | None
    breaker: BreakerState
    last_error: str | None
    outage_since: str | None
    next_try_in_s: float | None
    pending: int
    oldest_age_s: float | None
    delivered: int
    retried: int
    dead_lettered: int
    held: int
    parked_tasks: int
    parked_error: str | None
    resyncing: int
    unmapped_tasks: int
    token_sent: bool | None
    contract: str
    contract_detail: str

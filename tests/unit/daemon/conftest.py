"""An outbox on a real file, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from clawlogd.model import Event, EventKind
from clawlogd.outbox.ballast import Ballast
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.store import Store
from clawlogd.outbox.witness import Witness
from clawlogd.settings import InForce, Settings
from clawlogd.settings import Outbox as OutboxSettings
from unit.liveness.sidecar import SteppedClock

URL = "http://backend.test"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def new_outbox(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[Callable[..., Outbox]]:
    """Opens the outbox of the test's folder; the second time, the first must have been closed."""
    opened: list[Outbox] = []

    def open_(store: Store | None = None, *, ballast_bytes: int = 0, **bounds: int) -> Outbox:
        if store is None:
            store = Store(tmp_path / "outbox.db")
            store.open()
        opened.append(
            Outbox(
                store=store,
                witness=Witness(tmp_path / "outbox.seq"),
                ballast=Ballast(tmp_path / "ballast", ballast_bytes),
                settings=InForce(Settings(outbox=OutboxSettings(**bounds))),
                clock=clock,
            )
        )
        return opened[-1]

    yield open_
    if opened:
        await opened[-1].close()


@pytest.fixture
async def outbox(new_outbox: Callable[..., Outbox]) -> Outbox:
    """An outbox of its own, in the test's event loop."""
    return new_outbox()


def event(number: int, task_id: str = "t", **fields: str) -> Event:
    """An event whose id ends in a number."""
    return Event(f"01900000-0000-7000-8000-{number:012x}", task_id, EventKind.TASK_STATUS, "2026-02-28T08:00:00.000Z", **fields)


def raw_id(number: int) -> bytes:
    return bytes.fromhex(event(number).event_id.replace("-", ""))

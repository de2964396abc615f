"""A backend that is out of order is asked for its document less and less often."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from clawlogd.settings import LiveSettings, Settings
from clawlogd.upstream import finder
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.keeper import Keeper
from clawlogd.upstream.finder import ContractFinder, ContractState


class _OutOfOrder:
    """Connections to a backend that fails at everything, and when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.enough = asyncio.Event()

    async def get_document(self, *_: Any, **__: Any) -> Answer:
        self.asked.append(asyncio.get_running_loop().time())
        if len(self.asked) == 6:
            self.enough.set()
        return Answer(Outcome.TRANSIENT, "out of order", None)

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_backend_that_stays_out_of_order_is_asked_for_its_document_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "_FIRST_PAUSE_S", 0.01)
    backend = _OutOfOrder()
    known = ContractFinder(
        "http://backend.test",
        open_upstream=lambda: backend,  # type: ignore[arg-type, return-value]
        keeper=Keeper(tmp_path),
        configured="auto",
        settings=LiveSettings(Settings()),
        delivered_before=True,
        changed=lambda: None,
    )
    assert known.state is ContractState.STANDARD
    asking = asyncio.create_task(known.run())
    async with asyncio.timeout(10):
        await backend.enough.wait()
    asking.cancel()
    pauses = [later - earlier for earlier, later in zip(backend.asked, backend.asked[1:], strict=False)]
    assert pauses[-1] >= 0.01 * 2**4

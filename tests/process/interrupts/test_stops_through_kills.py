"""A stop reaches its agent once, and so does the acknowledgement the backend, however often the daemon is killed between."""

from __future__ import annotations

from pathlib import Path

from process.interrupts.kills import stop_through_kills


async def test_each_stop_is_delivered_and_acknowledged_once_none_is_lost_and_none_invented(folder: Path) -> None:
    outcome = await stop_through_kills(folder, stops=30, seed=20260228)
    assert outcome.wrong == []
    assert outcome.kills == 6

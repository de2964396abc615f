"""Plays every scene in earnest, with the times that users have, and prints the table of ``docs/liveness.md``.

Run it from ``tests``: ``python -m process.liveness.table``. It takes about eight minutes. With names of scenes it plays those.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from process.liveness.scenes import SCENES, Scene
from process.liveness.stage import IN_EARNEST, Record, Shown, staged

LONGEST_S = 20.5  # twenty seconds, and the time that a look takes


async def main() -> int:
    """Plays the scenes that were named, or all; returns 1 when one was not true to life."""
    names = sys.argv[1:]
    untrue = 0
    print("| what happens | what the backend shows | nothing dead alive, nothing alive lost |\n| --- | --- | --- |")
    for scene in SCENES:
        if names and scene.__name__ not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="claw") as folder:
            async with staged(Path(folder), IN_EARNEST) as stage:
                record = await scene(stage)
        true = is_true(record)
        untrue += not true
        print(f"| {told(scene)} | {shown(record)} | {'held' if true else '**NOT HELD**'} |", flush=True)
    return 1 if untrue else 0


def told(scene: Scene) -> str:
    """A scene's event in a line."""
    return (scene.__doc__ or "").splitlines()[0]


def shown(record: Record) -> str:
    """What was shown, with the time after the event at which it began."""
    return ", then ".join([record.states[0].state, *(after(each) for each in record.states[1:])])


def after(each: Shown) -> str:
    reason = f" (“{each.reason}”)" if each.reason else ""
    return f"**{each.state}**{reason} after {each.after_s:.1f} s"


def is_true(record: Record) -> bool:
    if record.dies:
        return record.shown_alive_s <= LONGEST_S and not record.beats_after_end
    return "lost" not in record.names


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

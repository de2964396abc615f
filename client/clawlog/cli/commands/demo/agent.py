"""The agent: works, reports its progress, checks for a stop before each block, and stops at a safe boundary.

It follows ``SKILL.md`` and uses the scripts alone: it knows neither the daemon nor the backend.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from clawlog.cli.commands.demo import work
from clawlog.cli.commands.demo.scripts import ScriptResult, Scripts
from clawlog.cli.commands.demo.timeline import Actor, Timeline
from clawlog.cli.commands.demo.work import Likeness, Source
from clawlog.cli.errors import CommandError
from clawlog.protocol.types import StepStatus

TITLE = "Map the Python library"
STEPS = ("Fingerprint the files", "Compress the files", "Find the nearest of each", "Write the map")
LONG_STEP = 3
"""The position of the step during which the stop is requested."""

BLOCK_S = 0.3
"""About how long a block of work lasts: the agent checks for a stop before each."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What the agent reported, for the verdict.

    Attributes:
        task_id: Its task.
        event_ids: The events that the scripts sent, in order.
        step_statuses: The last status of each step.
        ack_summary: The summary of its acknowledgement.
        checks: How often it checked for a stop.
        watched_pid: The process that the daemon watches.
    """

    task_id: str
    event_ids: tuple[str, ...]
    step_statuses: tuple[StepStatus, ...]
    ack_summary: str
    checks: int
    watched_pid: int


class Agent:
    """The agent.

    Args:
        scripts: Runs the scripts.
        timeline: Prints what it does.
        folder: Where its results go.
    """

    def __init__(self, scripts: Scripts, timeline: Timeline, folder: Path) -> None:
        self._scripts = scripts
        self._timeline = timeline
        self._folder = folder
        self._task_id = ""
        self._event_ids: list[str] = []
        self._checks = 0

    async def run(self) -> AgentReport:
        """Works on the task until it is asked to stop.

        Raises:
            CommandError: A script failed, or the work was done before the stop came.
        """
        await self._create()
        sources = await asyncio.to_thread(work.read_library)
        await self._fingerprint(sources)
        await self._compress(sources)
        found = await self._compare_until_stopped(sources)
        (self._folder / "nearest.json").write_text(json.dumps([asdict(each) for each in found]), encoding="utf-8")
        self._log(f"finishes its current block: {len(found)} of {len(sources)} files compared and saved")
        ack_summary = f"stopped between two files, {len(found)} of {len(sources)} compared"
        await self._update("--step-id", str(LONG_STEP), "--step-status", "skipped", "--step-summary", _closest(found))
        await self._update("--ack-interrupt", "--ack-summary", ack_summary, "--wait", "10")
        statuses: tuple[StepStatus, ...] = ("done", "done", "skipped", "pending")
        return AgentReport(self._task_id, tuple(self._event_ids), statuses, ack_summary, self._checks, os.getpid())

    # ── The steps ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _create(self) -> None:
        steps = [argument for title in STEPS for argument in ("--step", title)]
        report = await self._scripts.call("create_task", "--title", TITLE, *steps, "--watch-pid", str(os.getpid()))
        self._task_id = report.task_id
        self._show(report, f"→ task {report.task_id}")

    async def _fingerprint(self, sources: list[Source]) -> None:
        await self._begin(1)
        digest = await asyncio.to_thread(work.fingerprint, sources)
        size_bytes = sum(len(source.text) for source in sources)
        await self._done(1, f"{len(sources)} files, {size_bytes / 1e6:.1f} MB, sha256 {digest[:12]}")

    async def _compress(self, sources: list[Source]) -> None:
        await self._begin(2)
        half = len(sources) // 2
        size_bytes = await asyncio.to_thread(work.compressed_bytes, sources[:half])
        await self._update("--heartbeat", "--heartbeat-summary", f"{half} of {len(sources)} files compressed")
        size_bytes += await asyncio.to_thread(work.compressed_bytes, sources[half:])
        share = size_bytes / max(1, sum(len(source.text) for source in sources))
        await self._done(2, f"{size_bytes / 1e6:.1f} MB are left, {share:.0%}")

    async def _compare_until_stopped(self, sources: list[Source]) -> list[Likeness]:
        await self._update("--step-id", str(LONG_STEP), "--step-status", "running")
        found: list[Likeness] = []
        while not await self._stop_requested(quietly=bool(found)):
            if len(found) == len(sources):
                raise CommandError("the work was done before the stop came: the demo has nothing to show")
            block_ends = asyncio.get_running_loop().time() + BLOCK_S
            while len(found) < len(sources) and asyncio.get_running_loop().time() < block_ends:
                found.append(await asyncio.to_thread(work.nearest, sources, len(found)))
        return found

    # ── Its reports ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, position: int) -> None:
        if await self._stop_requested():
            raise CommandError("a stop is requested too early")
        await self._update("--step-id", str(position), "--step-status", "running")

    async def _done(self, position: int, summary: str) -> None:
        await self._update("--step-id", str(position), "--step-status", "done", "--step-summary", summary)

    async def _update(self, *arguments: str) -> None:
        report = await self._scripts.call("update_status", "--task-id", self._task_id, *arguments)
        self._event_ids += report.event_ids
        self._show(report, f"→ {report.status}")

    async def _stop_requested(self, *, quietly: bool = False) -> bool:
        report = await self._scripts.call("update_status", "--task-id", self._task_id, "--check-interrupt")
        self._checks += 1
        if report.stop_requested:
            self._show(report, f"→ {report.status}: a stop is requested (it asked {self._checks} times)")
        elif not quietly:
            self._show(report, f"→ {report.status}: go on")
        return report.stop_requested

    def _show(self, report: ScriptResult, outcome: str) -> None:
        self._log(f"{report.shown} {outcome}, {report.took_s * 1000:.0f} ms")

    def _log(self, text: str) -> None:
        self._timeline.show(Actor.AGENT, text)


def _closest(found: list[Likeness]) -> str:
    best = min(found, key=lambda each: each.distance, default=None)
    return (
        f"stopped; closest so far: {best.one} ~ {best.other} ({best.distance:.2f})" if best else "stopped before the first file"
    )

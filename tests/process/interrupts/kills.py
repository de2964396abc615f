"""Stops on their way to their agents while the daemon is killed again and again.

Run it from ``tests`` for the long form: ``python -m process.interrupts.kills 500``.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from clawlog import AsyncClient
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.errors import DaemonUnreachable
from clawlog_backend.settings import Settings as BackendSettings
from support.daemon_process import DaemonProcess
from support.running_backend import Api, RunningBackend
from support.running_daemon import until

T = TypeVar("T")

AT_ONCE = 5
KILLED_WITHIN_S = 0.12  # of the requests: some before the daemon has seen them, some after the acknowledgement
RECEIPTS = ("interrupt_seen", "interrupt_delivered", "interrupt_ack")
LIMIT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of the stops.

    Attributes:
        stops: How many were asked for.
        kills: How often the daemon was killed.
        wrong: What did not happen exactly once, in words.
    """

    stops: int
    kills: int
    wrong: list[str]


async def stop_through_kills(folder: Path, stops: int, seed: int) -> Outcome:
    """Asks for stops, kills the daemon at random between request and acknowledgement, and counts what arrived."""
    draw = random.Random(seed)
    backend = RunningBackend(BackendSettings(database=str(folder / "backend.db"), port=0))
    backend.start()
    daemon = DaemonProcess(folder)
    wrong: list[str] = []
    kills = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api = Api(session, backend.url)
        try:
            await daemon.start()
            for begin in range(0, stops, AT_ONCE):
                names = [f"stop-{number}" for number in range(begin, min(begin + AT_ONCE, stops))]
                untouched = f"untouched-{begin}"
                agents = {name: asyncio.create_task(_agent(daemon, backend.url, name)) for name in names}
                bystander = asyncio.create_task(_agent(daemon, backend.url, untouched))
                await asyncio.gather(*(_until_known(api, name) for name in [*names, untouched]))
                requested = dict(zip(names, await asyncio.gather(*(_ask_to_stop(api, name) for name in names)), strict=True))
                await asyncio.sleep(draw.uniform(0, KILLED_WITHIN_S))
                await daemon.kill()
                kills += 1
                await daemon.start()
                async with asyncio.timeout(LIMIT_S):
                    told = {name: await agent for name, agent in agents.items()}
                bystander.cancel()
                await asyncio.wait([bystander])
                for name in names:
                    if told[name] != requested[name]:
                        wrong.append(f"{name} was told of {told[name]}, not {requested[name]}")
                    wrong += await _wrong(api, name, dict.fromkeys(RECEIPTS, 1))
                wrong += await _wrong(api, untouched, {})
        finally:
            await daemon.clean_up()
            await asyncio.to_thread(backend.stop)
    return Outcome(stops, kills, wrong)


async def _agent(daemon: DaemonProcess, url: str, name: str) -> str | None:
    """Works on a task until it is told to stop, and acknowledges; returns the id of the stop that it was told of."""
    async with AsyncClient(str(daemon.socket_path), env=daemon.env, autostart=False) as client:
        await _insist(client, calls.create_task(name, task_id=name, base_url=url))
        while True:
            stop = await _insist(client, calls.check_interrupt(name, wait_s=10))
            if stop.interrupt_requested:
                await _insist(client, calls.ack_interrupt(name, interrupt_id=stop.interrupt_id, summary="stopped"))
                return stop.interrupt_id


async def _insist(client: AsyncClient, call: Call[T]) -> T:
    """Repeats a call, under its own id, until a daemon answers."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await client.perform(call)
            except DaemonUnreachable:
                await asyncio.sleep(0.02)


async def _ask_to_stop(api: Api, name: str) -> str:
    status, stop = await api("POST", f"/api/tasks/{name}/interrupt", {"mode": "soft_stop"})
    assert status == 201, stop
    return str(stop["interrupt_id"])


async def _until_known(api: Api, name: str) -> None:
    async def is_known() -> bool:
        return (await api("GET", f"/api/tasks/{name}/control"))[0] == 200

    await until(is_known, LIMIT_S)


async def _wrong(api: Api, name: str, expected: dict[str, int]) -> list[str]:
    """What of a task's receipts is not as expected, once its last one has arrived."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        task = await api.get(name)
        counts = Counter(event["kind"] for event in task["events"] if event["kind"] in RECEIPTS)
        if counts["interrupt_ack"] >= expected.get("interrupt_ack", 0) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    wrong = [f"{name} has {counts[kind]} × {kind}" for kind in RECEIPTS if counts[kind] != expected.get(kind, 0)]
    stop: dict[str, Any] | None = task["stop"]
    if (stop is not None) is not bool(expected):
        wrong.append(f"{name} has the stop {stop}")
    elif stop is not None and None in {stop["seen_at"], stop["delivered_at"], stop["acknowledged_at"]}:
        wrong.append(f"{name} lacks a receipt: {stop}")
    return wrong


def main() -> int:
    """Prints what became of so many stops; returns 1 when anything was lost, repeated or invented."""
    stops = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="claw") as folder:
        outcome = asyncio.run(stop_through_kills(Path(folder), stops, seed))
    print("\n".join(outcome.wrong))
    print(
        f"{outcome.stops} stops, {outcome.kills} kills (seed {seed}): {len(outcome.wrong)} receipts wrong; "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Sets the demo up on temporary state, runs it, and removes everything again, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from clawlog import exits
from clawlog.async_client import AsyncClient
from clawlog.cli import servers
from clawlog.cli.commands.demo import verdict
from clawlog.cli.commands.demo.agent import Agent, AgentReport
from clawlog.cli.commands.demo.person import Person
from clawlog.cli.commands.demo.scripts import Scripts, find_scripts
from clawlog.cli.commands.demo.timeline import Actor, Check, Timeline
from clawlog.cli.errors import CommandError
from clawlog.cli.render.backend_views import Receipts
from clawlog.cli.servers import Server
from clawlog.cli.sources.backend import Backend
from clawlog.errors import ClawlogError

LIMIT_S = 28.0
"""When the demo fails because it takes too long."""

_END_SEEN_WITHIN_S = 0.3

_SETTINGS = """\
# A real task's heartbeats are 15 s apart; this run would end before the second.
[heartbeat]
interval_s = 1.0
jitter_s = 0.1
"""
_FOREIGN = ("CLAWLOG_", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""Variables that would let the demo touch a real daemon, its state or its service manager."""


async def play(timeline: Timeline) -> int:
    """Runs the demo; returns its exit status.

    Raises:
        CommandError: A part failed.
    """
    with tempfile.TemporaryDirectory(prefix="clawlog-demo-") as name:
        folder = Path(name)
        env = _environment(folder)
        try:
            async with asyncio.timeout(LIMIT_S):
                checks = await _perform(timeline, folder, env)
        except TimeoutError:
            raise CommandError(f"the demo did not finish within {LIMIT_S:.0f} s") from None
        except ExceptionGroup as group:
            raise _cause(group) from None
        except (CommandError, ClawlogError) as error:
            raise CommandError(str(error)) from error
        timeline.conclude(checks)
        return exits.SUCCESS if all(check.holds for check in checks) else exits.FAILED


def _environment(folder: Path) -> dict[str, str]:
    settings = folder / "clawlog.toml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    # No autostart: a daemon that dies during the demo must be noticed, not replaced.
    return kept | {"CLAWLOG_STATE_DIR": str(folder), "CLAWLOG_CONFIG": str(settings), "CLAWLOG_AUTOSTART": "0"}


async def _perform(timeline: Timeline, folder: Path, env: dict[str, str]) -> Sequence[Check]:
    async with servers.backend(env, folder / "backend.log") as backend, servers.daemon(env, folder / "daemon.log") as daemon:
        timeline.show(Actor.DEMO, f"starts a backend and a daemon; everything is in {folder}")
        url = await servers.start_backend(backend, port=0)
        timeline.show(Actor.BACKEND, f"answers at {url} (process {backend.pid})", pid=backend.pid)
        env["CLAWLOG_BASE_URL"] = url
        await servers.start_daemon(daemon, env)
        timeline.show(Actor.DAEMON, f"answers at its socket (process {daemon.pid})", pid=daemon.pid)
        http = Backend(url, env)
        try:
            report, request = await _act(timeline, folder, env, http, (backend, daemon))
        except ExceptionGroup:
            await _blame((backend, daemon))
            raise
        return await _judge(report, request, http, env)


async def _act(
    timeline: Timeline, folder: Path, env: Mapping[str, str], http: Backend, running: Sequence[Server]
) -> tuple[AgentReport, Receipts]:
    async with asyncio.TaskGroup() as group:
        guards = [group.create_task(_guard(server), name=f"guard the {server.name}") for server in running]
        agent = group.create_task(Agent(Scripts(env, find_scripts()), timeline, folder).run(), name="the agent")
        person = group.create_task(Person(http, timeline).run(), name="the person")
        await asyncio.wait([agent, person])  # when either fails the group cancels this
        for guard in guards:
            guard.cancel()
    return agent.result(), person.result()


async def _guard(server: Server) -> None:
    await server.ended()
    raise server.failure()


async def _blame(running: Sequence[Server]) -> None:
    """Raises that a server ended, if one did: it is why other parts failed, and may be seen a moment later."""
    for server in running:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SEEN_WITHIN_S):
                await _guard(server)


async def _judge(report: AgentReport, request: Receipts, http: Backend, env: Mapping[str, str]) -> list[Check]:
    task = await asyncio.to_thread(http.task, report.task_id)
    async with AsyncClient(env=env, autostart=False) as client:
        return verdict.check(report, request, task, await client.daemon_status())


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    cause: BaseException = group
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return CommandError(str(cause)) if isinstance(cause, (CommandError, ClawlogError)) else cause

"""``clawlog up``: the embedded backend and the daemon together, in the foreground.

They start and end together. A daemon that is already running is used, and left running.
"""

from __future__ import annotations

import asyncio
import os
import webbrowser
from collections.abc import Mapping

import click

from clawlog import exits, locations
from clawlog.async_client import AsyncClient
from clawlog.cli import options, servers, signals
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import CommandError, ServerFailed
from clawlog.cli.render import output
from clawlog.cli.servers import Server
from clawlog.cli.sources.backend import Backend
from clawlog.errors import DaemonUnreachable

DEFAULT_PORT = 8000
_ANSWER_S = 3.0
"""How long a server at the port is waited for, to find out whether it is a backend."""


@click.command(
    short_help="Run the embedded backend and the daemon together.",
    epilog=epilog(
        ("clawlog up", "the usual port and state"),
        ("clawlog up --port 8080 --open", "another port; opens the dashboard"),
        s0="both run already",
        s1="one of the two ended unexpectedly; the other was stopped, too",
        s69="one of the two could not start",
        s130="Ctrl-C: both were stopped (143 after SIGTERM)",
    ),
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="TCP port; 0 picks a free one."
)
@click.option("--open", "in_browser", is_flag=True, help="Open the dashboard in a browser.")
@options.as_json
def command(*, port: int, in_browser: bool, as_json: bool) -> int:
    """Run the embedded backend and the daemon together, in the foreground.

    The state is kept in the usual folder, so tasks and events are there again next time. Ctrl-C stops both. If one of them
    ends, the other is stopped, too. A daemon that is already running is used, and left running at the end. Where both run
    already, it says so, and where.
    """
    return signals.run(_up(port=port, in_browser=in_browser, as_json=as_json))


async def _up(*, port: int, in_browser: bool, as_json: bool) -> int:
    env = dict(os.environ)
    running_pid = await _running_daemon()
    if running_pid is not None and port and _is_backend(url := f"http://localhost:{port}"):
        if as_json:
            _announce_json(url, running_pid, used=True)
        else:
            click.echo(f"ClawLog already runs: {url} (process {running_pid})")
        if in_browser:
            webbrowser.open(url)
        return exits.SUCCESS
    async with servers.backend(env) as backend:
        answered_at = await servers.start_backend(backend, port=port)
        url = f"http://localhost:{answered_at.rpartition(':')[2]}"  # the name that tasks use: the daemon's token is bound to it
        running_pid = await _running_daemon()
        async with servers.daemon(env) as daemon:
            if running_pid is None:
                running_pid = await start_unless_running(daemon, env, url)
            announce = _announce_json if as_json else _announce
            announce(url, daemon.pid if running_pid is None else running_pid, used=running_pid is not None)
            if in_browser:
                webbrowser.open(url)
            await _first_to_end([backend] if running_pid is not None else [backend, daemon])
    raise AssertionError("one of them has ended")


async def start_unless_running(daemon: Server, env: Mapping[str, str], url: str) -> int | None:
    """Starts the daemon; returns the process id of another one that a script has started in the same moment, if one has.

    Raises:
        ServerFailed: It could not start, and none is running.
    """
    failure = None
    try:
        await servers.start_daemon(daemon, env, "--base-url", url)
    except ServerFailed as error:
        failure = error
    running_pid = await _running_daemon()  # the other one's answer may be the one that was waited for
    if running_pid is None and failure is not None:
        raise failure
    return None if running_pid == daemon.pid else running_pid


async def _running_daemon() -> int | None:
    """Returns the process id of a daemon that is already running, if there is one."""
    async with AsyncClient(autostart=False) as client:
        try:
            return int((await client.daemon_status())["pid"])
        except DaemonUnreachable:
            return None


def _is_backend(url: str) -> bool:
    """Whether the embedded backend answers there: one with pages of tasks."""
    try:
        return Backend(url, os.environ, timeout_s=_ANSWER_S).page("any") is not None
    except CommandError:
        return False


def _announce(url: str, daemon_pid: int, *, used: bool) -> None:
    click.echo(f"dashboard  {url}")
    click.echo(f"daemon     {locations.socket_address(os.environ)}  (pid {daemon_pid}{', already running' if used else ''})")
    click.echo(f"state      {locations.state_dir(os.environ)}")
    if used:
        click.echo(f"Tasks that name no backend go where that daemon's settings say; to use this one: --base-url {url}")
    click.echo("Ctrl-C stops " + ("the backend; the daemon keeps running." if used else "both."))


def _announce_json(url: str, daemon_pid: int, *, used: bool) -> None:
    output.print_json_line(
        {
            "dashboard": url,
            "socket": locations.socket_address(os.environ),
            "pid": daemon_pid,
            "ran_already": used,
            "state_dir": locations.state_dir(os.environ),
        }
    )


async def _first_to_end(running: list[Server]) -> None:
    """Waits until a server ends, which is always unexpected.

    Raises:
        ServerFailed: Always; the text says which one ended.
    """
    waits = {asyncio.create_task(server.ended(), name=f"the {server.name} ends"): server for server in running}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    first = waits[done.pop()]
    others = "".join(f"; the {server.name} is stopped, too" for server in running if server is not first)
    raise ServerFailed(f"{first.failure()}{others}", exits.FAILED)

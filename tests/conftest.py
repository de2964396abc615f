"""What tests of every kind share: short folders, a plain server, and daemons that end with the test."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest

from clawlogd.clock import Clock
from clawlogd.settings import Settings
from support.daemon_process import LOOP, DaemonProcess
from support.hostile_server import HostileServer
from support.plain_server import PlainServer
from support.postgres_cluster import PostgresCluster
from support.running_daemon import QUICK, RunningDaemon

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_TESTS = Path(__file__).parent
_ASYNCIO: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
_ON_BOTH_LOOPS = frozenset(
    {
        "contract/test_order.py",
        "contract/test_verbs.py",
        "integration/delivery/test_batches.py",
        "integration/interrupts/test_stops.py",
        "integration/interrupts/test_watchers.py",
        "integration/rpc/test_listeners.py",
    }
)
"""What runs on uvloop, too; with ``CLAWLOG_TEST_LOOP=uvloop``, as in ``make faults``, everything does, and there alone."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Looks for no garbage among what is collected: it stays to the end, and there is much of it in each worker."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep those that share what was made for their module in one worker, or each worker would make (and start) it anew."""
    for item in items:
        if not isinstance(item, pytest.Function) or item.get_closest_marker("xdist_group"):
            continue
        fixtures = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - pytest shows the scope of a fixture nowhere else
        if any(fixtures[name][-1].scope == "module" for name in item.fixturenames if name in fixtures):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The event loops that a test runs on: asyncio's, and uvloop for those that could tell the difference, or for all."""
    del config
    try:
        import uvloop
    except ImportError:
        return _ASYNCIO
    on_uvloop = {"uvloop": uvloop.new_event_loop}
    if LOOP == "uvloop":
        return on_uvloop
    twice = str(item.path.relative_to(_TESTS)) in _ON_BOTH_LOOPS
    # At the backend that all tests share a test has tasks of its own: once.
    return {**_ASYNCIO, **on_uvloop} if twice and "embedded" not in getattr(item, "fixturenames", ()) else _ASYNCIO


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket: a Unix socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="claw") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A PostgreSQL server that no test stops; ``postgres.database()`` makes a database of the test's own."""
    cluster = PostgresCluster()
    cluster.start()
    yield cluster
    cluster.remove()


@pytest.fixture
async def plain() -> AsyncIterator[PlainServer]:
    """A server with the plain profile alone, and integer ids of its own."""
    server = await PlainServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def new_hostile() -> AsyncIterator[Callable[..., Awaitable[HostileServer]]]:
    """Makes servers that behave until the test tells them otherwise; ``batch=False`` for one with the plain profile alone."""
    made: list[HostileServer] = []

    async def make(*, batch: bool = True) -> HostileServer:
        made.append(await HostileServer(batch=batch).start())
        return made[-1]

    yield make
    for server in made:
        await server.stop()


@pytest.fixture
async def hostile(new_hostile: Callable[..., Awaitable[HostileServer]]) -> HostileServer:
    """Such a server, with the batch profile."""
    return await new_hostile()


@pytest.fixture
async def hostile_plain(new_hostile: Callable[..., Awaitable[HostileServer]]) -> HostileServer:
    """Such a server, with the plain profile alone."""
    return await new_hostile(batch=False)


@pytest.fixture
async def new_daemon(folder: Path) -> AsyncIterator[Callable[..., RunningDaemon]]:
    """Makes daemons in this process, over one state folder, that are ended with the test; they are not started yet."""
    made: list[RunningDaemon] = []

    def make(settings: Settings = QUICK, *, env: dict[str, str] | None = None, clock: Clock | None = None) -> RunningDaemon:
        daemon = RunningDaemon(folder, settings, env=env, clock=clock)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        await daemon.stop()


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon in this process, started."""
    started = new_daemon()
    await started.start()
    return started


@pytest.fixture
async def new_process(folder: Path) -> AsyncIterator[Callable[..., DaemonProcess]]:
    """Makes daemons' processes, over one state folder, that are ended with the test; they are not started yet."""
    made: list[DaemonProcess] = []

    def make(**env: str) -> DaemonProcess:
        made.append(DaemonProcess(folder, **env))
        return made[-1]

    yield make
    for process in made:
        await process.clean_up()

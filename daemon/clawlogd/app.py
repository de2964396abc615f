"""The composition root: builds the daemon, runs its long-lived tasks under their names, and ends them in order.

``run`` is a library function: tests start a whole daemon in their own process with it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from clawlog import locations
from clawlogd.backends import Backends
from clawlogd.clock import Clock, SystemClock
from clawlogd.host.housekeeping import Housekeeping
from clawlogd.host.reload import Reload
from clawlogd.host.systemd import ServiceManager, passed_sockets
from clawlogd.instance import InstanceError, bind_unix, private_folder, state_lock
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.logs import Log
from clawlogd.outbox.integrity import Witness, is_damage
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.recovery import Recovery, open_store
from clawlogd.outbox.reserve import Reserve
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.spool import Spool
from clawlogd.rpc.unix import UnixListener, allowed_group
from clawlogd.services import RuntimeInfo, Services
from clawlogd.settings import LiveSettings, Settings, ipc_path, metrics_address
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.tokens import TokenSource

_log = Log("app")


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the daemon runs.

    Attributes:
        env: The environment variables.
        state_dir: The state folder.
        socket_path: Where the Unix socket goes; None when the service manager passes it on.
        clock: Where the time is read.
    """

    env: Mapping[str, str]
    state_dir: Path
    socket_path: Path | None
    clock: Clock

    @classmethod
    def of_process(cls, settings: Settings, env: Mapping[str, str]) -> Environment:
        """The environment of this process."""
        chosen = {**env, **({"CLAWLOG_STATE_DIR": settings.state_dir} if settings.state_dir else {})}
        state_dir = Path(locations.state_dir(chosen)).absolute()
        if chosen.get("STATE_DIRECTORY") and not chosen.get("CLAWLOG_STATE_DIR"):
            state_dir = state_dir.resolve()  # with DynamicUser= the service manager's own folder is reached by a link
        address = settings.socket or locations.socket_address({k: v for k, v in chosen.items() if not _is_zmq(k, v)})
        return cls(env, state_dir, Path(address.removeprefix("unix:")).absolute(), SystemClock())


def _is_zmq(key: str, value: str) -> bool:
    return key == "CLAWLOG_SOCKET" and value.startswith("zmq:")


class Stop:
    """Asks a running daemon to end: once softly, a second time at once."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.hurried = anyio.Event()

    def ask(self) -> None:
        """Asks; the second time cuts the last try to deliver short."""
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()


async def run(settings: Settings, where: Environment, stop: Stop, ready: Callable[[Services], None] | None = None) -> None:
    """Runs the daemon until it is asked to stop.

    Args:
        settings: Everything that can be set.
        where: Where it runs.
        stop: Asks it to end.
        ready: Called once it serves.

    Raises:
        InstanceError: It cannot run here.
        UnknownSchemaError: The state was written by a newer version.
        SettingsError: The ZeroMQ endpoint, its keys or the group cannot be used.
    """
    private_folder(where.state_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(state_lock(where.state_dir))
        manager = ServiceManager(where.env)
        runtime = RuntimeInfo(str(where.state_dir), None, settings.zmq, where.clock.monotonic())
        live_settings = LiveSettings(settings)
        services, dispatcher = await stack.enter_async_context(_build(live_settings, where, runtime))
        spool = Spool(folder=where.state_dir / locations.SPOOL_NAME, dispatcher=dispatcher, runtime=runtime)

        tasks = await stack.enter_async_context(_named_tasks())
        services.interrupts.resume()
        services.backends.start(services.heartbeats, tasks.spawn)
        await spool.drain()
        services.liveness.resume()
        services.heartbeats.resume()

        listeners = await _listen(services, where, dispatcher, stack)
        housekeeping = Housekeeping(
            services=services,
            dispatcher=dispatcher,
            spool=spool,
            manager=manager,
            stop=stop.ask,
            connections=lambda: listeners.connections,
        )
        await _serve_metrics(services, listeners, stack)
        tasks.spawn("outbox", services.outbox.until_broken)
        tasks.spawn("heartbeats", services.heartbeats.run)
        tasks.spawn("housekeeping", housekeeping.run)
        if manager.watchdog_s is not None:
            tasks.spawn("watchdog", housekeeping.feed_watchdog)
        _log.info(
            "ready",
            state_dir=runtime.state_dir,
            socket=runtime.socket,
            zmq=runtime.zmq,
            metrics=runtime.metrics,
            pid=os.getpid(),
        )
        housekeeping.tell_manager()
        manager.ready()
        if ready is not None:
            ready(services)

        await stop.asked.wait()
        with anyio.CancelScope(shield=True), anyio.move_on_after(services.settings.shutdown.deadline_s):
            manager.stopping()
            _log.info("stopping", pending=services.outbox.counts.waiting)
            listeners.stop_accepting()
            await dispatcher.finish()
            await listeners.stop()
            services.liveness.save_last_seen()
            await _last_delivery(services, stop)


async def _last_delivery(services: Services, stop: Stop) -> None:
    """One bounded try to deliver what waits; a second request to stop cuts it short."""
    with anyio.move_on_after(services.settings.shutdown.deliver_s):
        async with anyio.create_task_group() as group:

            async def hurried() -> None:
                await stop.hurried.wait()
                group.cancel_scope.cancel()

            group.start_soon(hurried)
            for lane in services.backends:
                while lane.can_progress:
                    await lane.next_round()
            group.cancel_scope.cancel()


class NamedTasks:
    """The daemon's long-lived tasks. One that ends unexpectedly brings the daemon down, under its name.

    Args:
        group: Runs them.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begins a task."""
        self._group.start_soon(self._guard, name, work, name=name)

    async def _guard(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            _log.error("task_failed", task=name, error=repr(error), exc_info=error)
            raise


@asynccontextmanager
async def _named_tasks() -> AsyncIterator[NamedTasks]:
    async with anyio.create_task_group() as group:
        try:
            yield NamedTasks(group)
        finally:
            group.cancel_scope.cancel()


def _open(settings: LiveSettings, state_dir: Path, clock: Clock) -> tuple[Outbox, Registry, Recovery | None]:
    """Opens the outbox, and reads the tasks."""
    witness = Witness(state_dir / "outbox.seq")
    reserve = Reserve(state_dir / "ballast", settings.now.outbox.ballast_bytes)
    reserve.restore()
    checked = False
    while True:
        store, recovery = open_store(state_dir / "outbox.db", clock=clock, last_seq=witness.last_seq)
        try:
            outbox = Outbox(store=store, witness=witness, reserve=reserve, settings=settings, clock=clock)
            registry = Registry(outbox=outbox)
            registry.load(store)
        except sqlite3.DatabaseError as error:
            store.close()
            if checked or not is_damage(error):
                raise
            checked = True  # from now on: it was sealed, the medium lost some of it since, and opening it took the seal away
        else:
            return outbox, registry, recovery


@asynccontextmanager
async def _build(
    settings: LiveSettings, where: Environment, runtime: RuntimeInfo
) -> AsyncIterator[tuple[Services, Dispatcher]]:
    clock, state_dir = where.clock, where.state_dir
    try:
        outbox, registry, runtime.recovery = _open(settings, state_dir, clock)
    except (OSError, sqlite3.Error) as error:
        raise InstanceError(
            f"{state_dir}: the outbox cannot be opened: {error}; see whether the disk works, has space, and may be written to"
        ) from error
    liveness = Liveness(registry=registry, outbox=outbox, settings=settings, clock=clock)
    interrupts = Interrupts(registry=registry, outbox=outbox, clock=clock, folder=private_folder(state_dir / "run") / "stop")
    tokens = TokenSource(env=where.env, settings=settings)
    backends = Backends(
        outbox=outbox,
        registry=registry,
        liveness=liveness,
        interrupts=interrupts,
        settings=settings,
        tokens=tokens,
        clock=clock,
    )
    heartbeats = HeartbeatSchedule(
        registry=registry,
        liveness=liveness,
        settings=settings,
        clock=clock,
        wake=backends.wake,
        slept=backends.retry_now,
    )
    services = Services(
        live_settings=settings,
        clock=clock,
        outbox=outbox,
        registry=registry,
        liveness=liveness,
        heartbeats=heartbeats,
        interrupts=interrupts,
        backends=backends,
        runtime=runtime,
    )
    try:
        yield services, Dispatcher(services=services)
    finally:
        with anyio.CancelScope(shield=True):
            liveness.close()
            await backends.close()
            await outbox.close()


class _Listeners:
    def __init__(self, unix: list[UnixListener], zeromq: Any) -> None:
        self._unix = unix
        self._zeromq = zeromq

    @property
    def connections(self) -> int:
        return sum(listener.connections for listener in self._unix)

    def stop_accepting(self) -> None:
        for listener in self._unix:
            listener.stop_accepting()

    async def stop(self) -> None:
        for listener in self._unix:
            await listener.stop()
        if self._zeromq is not None:
            await self._zeromq.stop()


async def _listen(services: Services, where: Environment, dispatcher: Dispatcher, stack: AsyncExitStack) -> _Listeners:
    settings, runtime = services.settings, services.runtime
    zeromq = None
    if settings.zmq is not None:
        from clawlogd.rpc.zeromq import ZeromqListener  # noqa: PLC0415 - libzmq's memory, only where wanted

        path = ipc_path(settings.zmq)
        zeromq = ZeromqListener(
            endpoint=settings.zmq,
            bound=bind_unix(path) if path else None,
            dispatcher=dispatcher,
            settings=services.live_settings,
        )
        await zeromq.start()
    group = allowed_group(settings.listen.group)
    sockets = passed_sockets(where.env)
    if not sockets and where.socket_path is not None:
        sock = bind_unix(where.socket_path, group_id=group.gr_gid if group else None)
        stack.callback(where.socket_path.unlink, missing_ok=True)
        sockets = [sock]
    unix = [UnixListener(sock=sock, dispatcher=dispatcher, group=group, settings=services.live_settings) for sock in sockets]
    for listener in unix:
        await listener.start()
    runtime.socket = str(sockets[0].getsockname()) if sockets else None
    return _Listeners(unix, zeromq)


async def _serve_metrics(services: Services, listeners: _Listeners, stack: AsyncExitStack) -> None:
    if services.settings.metrics is None:
        return
    from clawlogd.host.metrics import MetricsServer  # noqa: PLC0415 - a server's and a library's memory, only where wanted

    address = metrics_address(services.settings.metrics)
    server = MetricsServer(services=services, connections=lambda: listeners.connections)
    stack.push_async_callback(server.stop)
    services.runtime.metrics = await server.start(address)
    if address.path is not None:
        stack.callback(address.path.unlink, missing_ok=True)


async def run_until_signalled(settings: Settings, where: Environment, read: Callable[[], Settings]) -> None:
    """Runs the daemon until SIGTERM or SIGINT; a second one cuts the last try to deliver short. SIGHUP reloads.

    Args:
        settings: Everything that can be set.
        where: Where it runs.
        read: Reads the settings again, for a reload.
    """
    stop = Stop()
    running: list[Reload] = []
    async with anyio.create_task_group() as group:
        # Taken before the daemon starts: a signal that comes while it does must end it in order, too.
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:

            async def listen() -> None:
                async for number in signals:
                    if number is signal.SIGHUP:
                        for reload in running:
                            reload()
                    else:
                        _log.info("signal", name=signal.Signals(number).name)
                        stop.ask()

            group.start_soon(listen)
            manager = ServiceManager(where.env)
            await run(
                settings, where, stop, lambda services: running.append(Reload(services=services, read=read, manager=manager))
            )
            group.cancel_scope.cancel()

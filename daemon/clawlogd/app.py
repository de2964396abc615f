"""The composition root: builds the daemon, runs its long-lived tasks under their names, and ends them in order.

``run`` is a library function: tests start a whole daemon in their own process with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio

from clawlog import locations
from clawlogd.agents.watching import SessionWatch
from clawlogd.assembly import Environment, assemble
from clawlogd.faults import Faults
from clawlogd.host.housekeeping import Housekeeping
from clawlogd.host.places import Places
from clawlogd.host.reload import Reload
from clawlogd.host.status import report_status
from clawlogd.host.supervision import Supervisor, supervised
from clawlogd.host.systemd import ServiceManager, passed_sockets
from clawlogd.host.watchdog import feed_watchdog
from clawlogd.instance import access_of, bind_unix, check_files, path_of, private_folder, state_lock
from clawlogd.logs import Log
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.drops import Drops
from clawlogd.rpc.listeners import Listeners, make_listeners
from clawlogd.rpc.spool import Spool
from clawlogd.rpc.unix import allowed_group
from clawlogd.services import Services
from clawlogd.settings import LiveSettings, Settings, ipc_path, metrics_address
from clawlogd.tasks.loading import load_state
from clawlogd.text import path_text

_log = Log("app")


class ShutdownSignal:
    """Asks a running daemon to end: once in good order, a second time at once.

    Attributes:
        requested: Set by the first request.
        forced: Set by the second: the last attempt to deliver is cut short.
    """

    def __init__(self) -> None:
        self.requested = anyio.Event()
        self.forced = anyio.Event()

    def request(self) -> None:
        """Asks the daemon to end."""
        if self.requested.is_set():
            self.forced.set()
        self.requested.set()


class WaysIn(Protocol):
    """Everything by which callers connect, opened."""

    @property
    def connections(self) -> int:
        """How many callers are connected."""
        ...

    def stop_accepting(self) -> None:
        """Accepts no new connections."""
        ...

    async def stop(self) -> None:
        """Gives the requests that have begun a short time to be answered, and closes."""
        ...


OpenWaysIn = Callable[[Services, Environment, Dispatcher, Places, AsyncExitStack], Awaitable[WaysIn]]
"""Opens them."""


async def run(
    settings: Settings,
    where: Environment,
    shutdown: ShutdownSignal,
    ready: Callable[[Services], None] | None = None,
    *,
    listen: OpenWaysIn | None = None,
) -> None:
    """Runs the daemon until it is asked to end.

    Args:
        settings: Everything that can be set.
        where: Where it runs.
        shutdown: Asks it to end.
        ready: Called once it serves.
        listen: Opens the ways in; by default the sockets that the settings name.

    Raises:
        InstanceError: It cannot run here.
        UnknownSchemaError: The state was written by a newer version.
        SettingsError: The ZeroMQ endpoint, its keys or the group cannot be used.
    """
    check_files(private_folder(where.state_dir))
    async with AsyncExitStack() as stack:
        stack.enter_context(state_lock(where.state_dir))
        closing = await stack.enter_async_context(_closing())  # left after the tasks have ended
        live_settings = LiveSettings(settings)
        state = load_state(where.state_dir, live_settings, where.clock)
        closing.push_async_callback(state.outbox.close)
        faults = Faults(where.clock)
        supervisor = await stack.enter_async_context(supervised(faults))
        services = assemble(state, live_settings, where, supervisor.spawn_isolated, closing, faults=faults)
        closing.callback(services.liveness.close)
        spool, dispatcher = _make_dispatcher(services, where)
        stack.callback(spool.close)
        drops = _make_drops(services, where, spool)
        stack.callback(drops.close)
        await _resume(services, spool, drops)
        manager = ServiceManager(where.env)
        places = Places(services.outbox.check_place, partial(setattr, services.runtime, "lost_places"))
        listeners = await (listen or _listen)(services, where, dispatcher, places, stack)
        await _serve_metrics(services, listeners, places, stack)
        housekeeping = Housekeeping(
            services=services,
            check_places=places.check,
            drain_spool=spool.drain,
            manager=manager,
            request_shutdown=shutdown.request,
            connections=lambda: listeners.connections,
            last_command=lambda: dispatcher.last_command,
        )
        supervisor.spawn_isolated("drops", drops.run)
        _spawn_loops(services, housekeeping, manager, supervisor)
        _report_ready(services, manager)
        if ready is not None:
            ready(services)
        await shutdown.requested.wait()
        with anyio.CancelScope(shield=True), anyio.move_on_after(services.settings.shutdown.deadline_s):
            manager.stopping()
            await _end(services, dispatcher, listeners, shutdown)


# ── Building ───────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _closing() -> AsyncIterator[AsyncExitStack]:
    """A stack of what is to be closed, whatever ended the daemon; a cancellation does not cut it short."""
    closing = AsyncExitStack()
    try:
        yield closing
    finally:
        with anyio.CancelScope(shield=True):
            await closing.aclose()


def _make_drops(services: Services, where: Environment, spool: Spool) -> Drops:
    clock, projects = where.clock.monotonic, services.projects
    return Drops(env=where.env, state_dir=where.state_dir, spool=spool, projects=projects, monotonic=clock)


def _make_dispatcher(services: Services, where: Environment) -> tuple[Spool, Dispatcher]:
    """What carries out commands, and the spool, which has its calls carried out by it and lets nothing overtake them."""
    spool = Spool(
        folder=where.state_dir / locations.SPOOL_NAME,
        perform=lambda method, params, context, after: dispatcher.perform(method, params, context, after),  # noqa: PLW0108 - built below
        known=lambda task_id: services.registry.find(task_id) is not None,
        runtime=services.runtime,
        seen=services.views.add,
    )
    dispatcher = Dispatcher(services=services, gate=spool)
    services.liveness.waits_unread = spool.holds
    return spool, dispatcher


# ── Starting ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _resume(services: Services, spool: Spool, drops: Drops) -> None:
    """Resumes the work of an earlier run. The order matters."""
    services.interrupts.resume()  # the files of an earlier run may be stale, and agents read them at any time
    services.sessions.resume()
    services.backends.resume()
    services.views.resume()
    drops.resume()
    await spool.drain()
    # Last, because only now everything that the agents reported is known: none is declared lost before.
    services.liveness.resume()
    services.heartbeats.resume()


async def _listen(
    services: Services, where: Environment, dispatcher: Dispatcher, places: Places, stack: AsyncExitStack
) -> Listeners:
    group = allowed_group(services.settings.listen.group)
    group_id = group.gr_gid if group else None
    sockets = passed_sockets(where.env)
    own_path = where.socket_path if not sockets else None

    async def rebind_unix(path: Path, group_id: int | None, mode: int | None = None) -> None:
        await listeners.rebind_unix(bind_unix(path, group_id=group_id, mode=mode))

    for path in filter(None, map(path_of, sockets)):
        stack.callback(places.add(path, partial(rebind_unix, path, *access_of(path)), passed=True).remove)
    if own_path is not None:
        sockets = [bind_unix(own_path, group_id=group_id)]
        stack.callback(places.add(own_path, partial(rebind_unix, own_path, group_id)).remove)
    listeners = make_listeners(sockets, group, dispatcher, services.live_settings)
    if (zmq_path := ipc_path(services.settings.zmq) if services.settings.zmq else None) is not None:

        async def rebind_zeromq(path: Path = zmq_path) -> None:
            await listeners.rebind_zeromq(bind_unix(path))

        stack.callback(places.add(zmq_path, rebind_zeromq).remove)
    await listeners.start()
    services.runtime.socket = path_text(sockets[0].getsockname()) if sockets else None
    return listeners


async def _serve_metrics(services: Services, listeners: WaysIn, places: Places, stack: AsyncExitStack) -> None:
    if services.settings.metrics is None:
        return
    from clawlogd.host.metrics import MetricsServer  # noqa: PLC0415 - a server's and a library's memory, only where configured

    address = metrics_address(services.settings.metrics)
    server = MetricsServer(services=services, connections=lambda: listeners.connections)
    stack.push_async_callback(server.stop)
    services.runtime.metrics = await server.start(address)
    if address.path is not None:
        stack.callback(places.add(address.path, partial(server.rebind, address.path)).remove)


def _spawn_loops(services: Services, housekeeping: Housekeeping, manager: ServiceManager, supervisor: Supervisor) -> None:
    supervisor.spawn("outbox", services.outbox.until_broken)
    supervisor.spawn_isolated("heartbeats", services.heartbeats.run)
    supervisor.spawn_isolated("agents", SessionWatch(services).run)
    supervisor.spawn_isolated("housekeeping", housekeeping.run)
    supervisor.spawn_isolated("views", services.views.run)
    if (interval_s := manager.watchdog_s) is not None:
        supervisor.spawn("watchdog", partial(feed_watchdog, manager, services.outbox, interval_s))


def _report_ready(services: Services, manager: ServiceManager) -> None:
    runtime = services.runtime
    _log.info(
        "ready",
        state_dir=runtime.state_dir,
        socket=runtime.socket,
        zmq=runtime.zmq,
        metrics=runtime.metrics,
        loop=runtime.event_loop,
        pid=os.getpid(),
    )
    report_status(services, manager)
    manager.ready()


# ── Ending ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _end(services: Services, dispatcher: Dispatcher, listeners: WaysIn, shutdown: ShutdownSignal) -> None:
    _log.info("stopping", pending=services.outbox.counts.waiting)
    listeners.stop_accepting()
    await dispatcher.finish()
    await listeners.stop()
    services.liveness.save_last_seen()
    await _last_delivery(services, shutdown)


async def _last_delivery(services: Services, shutdown: ShutdownSignal) -> None:
    """One bounded attempt to deliver what waits; a second request to end cuts it short."""
    with anyio.move_on_after(services.settings.shutdown.deliver_s):
        async with anyio.create_task_group() as group:

            async def cut_short() -> None:
                await shutdown.forced.wait()
                group.cancel_scope.cancel()

            group.start_soon(cut_short)
            for lane in services.backends:
                while lane.can_progress:
                    await lane.next_round()
            group.cancel_scope.cancel()


async def run_until_signalled(settings: Settings, where: Environment, read: Callable[[], Settings]) -> None:
    """Runs the daemon until SIGTERM or SIGINT; a second one cuts the last attempt to deliver short. SIGHUP reloads.

    Args:
        settings: Everything that can be set.
        where: Where it runs.
        read: Reads the settings again, for a reload.
    """
    shutdown = ShutdownSignal()
    running: list[Reload] = []
    async with anyio.create_task_group() as group:
        # Before the daemon starts: a signal that arrives meanwhile must end it in order, too.
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:

            async def listen() -> None:
                async for number in signals:
                    if number is signal.SIGHUP:
                        for reload in running:
                            reload()
                    else:
                        _log.info("signal", name=signal.Signals(number).name)
                        shutdown.request()

            group.start_soon(listen)
            manager = ServiceManager(where.env)
            await run(
                settings,
                where,
                shutdown,
                lambda services: running.append(Reload(services=services, read=read, manager=manager)),
            )
            group.cancel_scope.cancel()

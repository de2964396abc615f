"""Builds the daemon's services, each complete; ``app`` starts and ends them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from clawlog import locations
from clawlogd.backends import Backends, Spawn
from clawlogd.clock import Clock, SystemClock
from clawlogd.faults import Faults
from clawlogd.instance import private_folder
from clawlogd.interrupts.state import Interrupts
from clawlogd.interrupts.views import Views
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.services import RuntimeInfo, Services, Sessions
from clawlogd.settings import LiveSettings, Settings
from clawlogd.tasks.detector import MetadataDetector
from clawlogd.tasks.loading import LoadedState
from clawlogd.tasks.projects import Projects
from clawlogd.text import path_text
from clawlogd.upstream.network import Network
from clawlogd.upstream.tokens import TokenSource


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the daemon runs.

    Attributes:
        env: The environment variables.
        state_dir: The state folder.
        socket_path: Where the Unix socket is bound; None when the service manager passes one on.
        clock: Where the time is read.
    """

    env: Mapping[str, str]
    state_dir: Path
    socket_path: Path | None
    clock: Clock

    @classmethod
    def of_process(cls, settings: Settings, env: Mapping[str, str]) -> Environment:
        """The environment of this process.

        Raises:
            Unfit: No folder for the state can be found.
        """
        chosen = {**env, **({"CLAWLOG_STATE_DIR": settings.state_dir} if settings.state_dir else {})}
        state_dir = Path(locations.state_dir(chosen)).absolute()
        if chosen.get("STATE_DIRECTORY") and not chosen.get("CLAWLOG_STATE_DIR"):
            state_dir = state_dir.resolve()  # with DynamicUser= the service manager's own folder is reached by a link
        address = settings.socket or locations.socket_address({k: v for k, v in chosen.items() if not _is_zmq(k, v)})
        return cls(env, state_dir, Path(address.removeprefix("unix:")).absolute(), SystemClock())


def _is_zmq(key: str, value: str) -> bool:
    return key == "CLAWLOG_SOCKET" and value.startswith("zmq:")


def assemble(
    state: LoadedState, settings: LiveSettings, where: Environment, spawn: Spawn, closing: AsyncExitStack, *, faults: Faults
) -> Services:
    """Builds the services, each complete.

    Args:
        state: What was read from the state folder.
        settings: The settings in force.
        where: Where the daemon runs.
        spawn: Runs lanes and watchers, each isolated.
        closing: Closes what has to be closed once those have ended.
        faults: Where faults of the daemon's own are noted.
    """
    outbox, registry, clock, folder = state.outbox, state.registry, where.clock, private_folder(where.state_dir / "run")
    interrupts = Interrupts(registry=registry, outbox=outbox, clock=clock, folder=folder / "stop")
    liveness, heartbeats, backends = _make_ring(state, settings, where, spawn, interrupts=interrupts, faults=faults)
    views = Views(registry=registry, interrupts=interrupts, clock=clock, folder=folder / "view", freshen=backends.freshen)
    closing.push_async_callback(backends.close)
    return Services(
        live_settings=settings,
        clock=clock,
        outbox=outbox,
        registry=registry,
        liveness=liveness,
        heartbeats=heartbeats,
        interrupts=interrupts,
        sessions=Sessions.below(folder, registry),
        views=views,
        backends=backends,
        detector=closing.enter_context(contextlib.closing(MetadataDetector())),
        projects=closing.enter_context(contextlib.closing(Projects(locations.project_drop(str(where.state_dir))))),
        faults=faults,
        runtime=RuntimeInfo(path_text(where.state_dir), None, settings.now.zmq, clock.monotonic(), state.recovery),
    )


def _make_ring(
    state: LoadedState,
    settings: LiveSettings,
    where: Environment,
    spawn: Spawn,
    *,
    interrupts: Interrupts,
    faults: Faults,
) -> tuple[Liveness, HeartbeatSchedule, Backends]:
    """Builds what knows each other in a ring: calls of what is built below close it, made by none yet."""
    outbox, registry, clock = state.outbox, state.registry, where.clock
    liveness = Liveness(
        registry=registry,
        outbox=outbox,
        settings=settings,
        clock=clock,
        reconsider=lambda task_id, at: heartbeats.judge_by(task_id, at),  # noqa: PLW0108 - built below
    )
    heartbeats = HeartbeatSchedule(
        registry=registry,
        liveness=liveness,
        settings=settings,
        clock=clock,
        wake=lambda base_url: backends.wake(base_url),  # noqa: PLW0108 - built below
        slept=lambda: backends.retry_now(),  # noqa: PLW0108 - built below
    )
    backends = Backends(
        outbox=outbox,
        registry=registry,
        liveness=liveness,
        heartbeats=heartbeats,
        interrupts=interrupts,
        settings=settings,
        tokens=TokenSource(env=where.env, settings=settings),
        clock=clock,
        faults=faults,
        spawn=spawn,
        network=Network(where.env, settings),
        folder=where.state_dir / "contracts",
    )
    return liveness, heartbeats, backends

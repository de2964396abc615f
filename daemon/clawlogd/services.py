"""The daemon's services in one object, which is built once by the composition root and handed to the verbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from clawlog.protocol.agents import HOLDS, SIGNS
from clawlogd.backends import Backends
from clawlogd.clock import Clock
from clawlogd.context import CallContext
from clawlogd.event_loop import running_name
from clawlogd.faults import Faults
from clawlogd.interrupts.holds import Holds
from clawlogd.interrupts.state import Interrupts
from clawlogd.interrupts.views import Views
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.liveness.signs import Signs
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.recovery import Recovery
from clawlogd.settings import LiveSettings, Settings
from clawlogd.tasks.change import TaskChange
from clawlogd.tasks.detector import MetadataDetector
from clawlogd.tasks.openings import Openings
from clawlogd.tasks.projects import Projects
from clawlogd.tasks.registry import Registry

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class RuntimeInfo:
    """What was found or chosen at the start, for ``daemon.status``.

    Attributes:
        state_dir: The state folder.
        socket: The Unix socket's path.
        zmq: The ZeroMQ endpoint.
        started: When the daemon began, monotonic.
        recovery: What was done about a damaged outbox.
        lost_places: Why callers do not reach the daemon where they should.
        spool_problem: Why the spool folder cannot be read.
        spool_held: Of how many tasks calls wait in the spool because of a bound, and which.
        spool_set_aside: Spool files that could not be used, in this run.
        damaged: Numbers of records whose checksum does not fit.
        metrics: Where the metrics are served.
        reload_error: Why the settings could not be read again.
        event_loop: The event loop that it runs on.
    """

    state_dir: str
    socket: str | None
    zmq: str | None
    started: float
    recovery: Recovery | None = None
    spool_set_aside: int = 0
    lost_places: list[str] = field(default_factory=list)
    spool_problem: str | None = None
    spool_held: str | None = None
    damaged: list[int] = field(default_factory=list)
    metrics: str | None = None
    reload_error: str | None = None
    event_loop: str = field(default_factory=running_name)


@dataclass(frozen=True, slots=True)
class Sessions:
    """What there is of coding agents' sessions beside their tasks.

    Attributes:
        holds: The files by which they are held.
        signs: The files in which their hooks leave signs of life.
        openings: Those whose tasks are about to be created.
    """

    holds: Holds
    signs: Signs
    openings: Openings

    @classmethod
    def below(cls, folder: Path, registry: Registry) -> Sessions:
        """Those of some tasks.

        Args:
            folder: Where the files' folders are.
            registry: The tasks.
        """
        holds = Holds(registry=registry, folder=folder / HOLDS)
        return cls(holds, Signs(registry=registry, folder=folder / SIGNS), Openings())

    def resume(self) -> None:
        """Brings the files in line with the records.

        Raises:
            InstanceError: A folder is none, a link or somebody else's.
        """
        self.holds.resume()
        self.signs.resume()


@dataclass(frozen=True, slots=True)
class Services:
    """The daemon's services, as the verbs use them.

    Attributes:
        live_settings: The settings in force, across reloads.
        clock: Where the time is read.
        outbox: The durable queue.
        registry: The tasks.
        liveness: Which agents are alive, and on what evidence.
        heartbeats: When each task's heartbeat is due.
        interrupts: What is known of people's interrupts.
        views: The same for agents that cannot ask.
        sessions: The files of coding agents' sessions.
        backends: A lane and a watcher for each backend.
        detector: What can be found out about callers and their folders.
        projects: Where agents are at work.
        faults: The faults of the daemon's own.
        runtime: What was found or chosen at the start.
    """

    live_settings: LiveSettings
    clock: Clock
    outbox: Outbox
    registry: Registry
    liveness: Liveness
    heartbeats: HeartbeatSchedule
    interrupts: Interrupts
    views: Views
    sessions: Sessions
    backends: Backends
    detector: MetadataDetector
    projects: Projects
    faults: Faults
    runtime: RuntimeInfo

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.live_settings.now

    def check_room(self, changes: Sequence[TaskChange]) -> None:
        """Checks that several changes can all be accepted now: else none of them is to be.

        Raises:
            OutboxFull: A bound would be reached.
        """
        sizes = [len(_encode(change.event)) for change in changes]
        self.outbox.counts.refuse_full(self.settings.outbox, len(sizes), sum(sizes))

    def accept(self, change: TaskChange, context: CallContext, reply: bytes | None = None) -> None:
        """Makes a change of a task: in memory now, and on disk with the open group.

        Args:
            change: What was decided on.
            context: When it was made, and whether it is a sign of life of now.
            reply: What a call with the same event id will be answered.

        Raises:
            OutboxFull: A bound is reached.
            StorageFailed: The disk does not take writes.
        """
        task = change.task
        seq = self.outbox.add(change.event, context.at_ms, task.base_url, reply, first=change.first)
        before = self.registry.find(task.task_id)
        status_seq = seq if before is None or before.status is not task.status else before.status_seq
        if status_seq != task.status_seq:
            task = msgspec.structs.replace(task, status_seq=status_seq)
        self.registry.put(task, head=change.head, steps=change.steps, gone=change.gone)
        if not task.status.ended:
            self.liveness.record_command(task, at_ms=context.spooled_at_ms)
        self.backends.lane(task.base_url)  # a backend that has no lane yet gets one

"""What a verb works with, in one object that is built once; and what a verb hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from clawlog.protocol.summary import clean, one_line
from clawlogd.backends import Backends
from clawlogd.clock import Clock
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.recovery import Recovery
from clawlogd.rpc.session import Session
from clawlogd.settings import LiveSettings, Settings
from clawlogd.tasks.registry import Registry


@dataclass(slots=True)
class RuntimeInfo:
    """What was found or chosen at the start, for ``daemon.status``.

    Attributes:
        state_dir: The state folder.
        socket: The Unix socket's path.
        zmq: The ZeroMQ endpoint.
        started: When the daemon began, monotonic.
        recovery: What was done about a damaged outbox.
        spool_set_aside: Spool files that could not be used, in this run.
        damaged: Numbers of records whose checksum does not fit.
        metrics: Where the metrics are served.
        reload_error: Why the settings could not be read again.
    """

    state_dir: str
    socket: str | None
    zmq: str | None
    started: float
    recovery: Recovery | None = None
    spool_set_aside: int = 0
    damaged: list[int] = field(default_factory=list)
    metrics: str | None = None
    reload_error: str | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """The daemon's services, as the verbs use them."""

    live_settings: LiveSettings
    clock: Clock
    outbox: Outbox
    registry: Registry
    liveness: Liveness
    heartbeats: HeartbeatSchedule
    interrupts: Interrupts
    backends: Backends
    runtime: RuntimeInfo

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.live_settings.now

    def summary(self, text: str | None) -> tuple[str | None, bool]:
        """A caller's summary made fit to be kept; and whether it was cut. Empty becomes None."""
        if text is None:
            return None, False
        settings = self.settings.summary
        line, truncated = clean(text, max_chars=settings.max_chars, mask=settings.mask_credentials)
        return line or None, truncated

    def title(self, text: str) -> str:
        """A caller's title as one line."""
        return one_line(text)


class Call(msgspec.Struct, frozen=True, gc=False):
    """The circumstances of a command.

    Attributes:
        at_ms: When the caller made it: now, or earlier for a spooled one.
        session: The connection it came by; None for a spooled one.
    """

    at_ms: int
    session: Session | None = None

    @property
    def spooled_at_ms(self) -> int | None:
        """When a spooled command was made; None for one that is made now."""
        return self.at_ms if self.session is None else None


class Durable(msgspec.Struct, frozen=True, gc=False):
    """A result that may be told once the open group is on disk, as JSON."""

    result: bytes

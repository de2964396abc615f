"""The daemon's settings: one class per concern, each field with its unit in its name, its bounds and its reason.

Where they come from is ``configuration``. The table in ``docs/configuration.md`` is held against this module by a test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from clawlog import locations
from clawlog.protocol import vocabulary
from clawlog.protocol.addresses import canonical

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=1024)]


class SettingsError(Exception):
    """A setting that cannot be used; the text names the key, where it was set and what would be accepted."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of settings: unknown keys are refused."""


class OutboxBounds(Section, frozen=True):
    """Bounds of the durable queue."""

    max_events: Count = 1_000_000  # a day of a very busy fleet; refuses loudly beyond
    max_bytes: Bytes = 1024**3  # of pending events; small beside a disk, days of outage for most
    keep_delivered_s: Seconds = 86_400.0  # how long a repeated call is still known for one
    ballast_bytes: Annotated[int, Meta(ge=0)] = 1024**2  # freed on a full disk, so that deliveries can be recorded


class Batch(Section, frozen=True):
    """Bounds of one batch."""

    max_events: Annotated[int, Meta(ge=1, le=1000)] = 1000  # the contract's bound
    max_bytes: Annotated[int, Meta(ge=65_536, le=1024**2)] = 1024**2  # the contract's bound
    min_interval_s: Annotated[float, Meta(ge=0, le=60)] = 0.2  # spares the backend; full batches do not wait


class Retry(Section, frozen=True):
    """What happens when a backend does not take an event."""

    quick_delays_s: Annotated[tuple[Seconds, ...], Meta(min_length=0, max_length=10)] = (0.2, 0.4, 0.8)  # three quick attempts
    max_delay_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0  # the longest pause between probes of a backend that is down
    max_retry_after_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0  # the longest Retry-After that is honoured


class Http(Section, frozen=True):
    """Bounds of one request to a backend."""

    connect_timeout_s: Seconds = 5.0
    total_timeout_s: Seconds = 30.0  # from start to the last byte: a backend that drips is cut off
    max_reply_bytes: Bytes = 4 * 1024**2
    max_parallel: Annotated[int, Meta(ge=1, le=64)] = 8  # requests at a time to a plain backend, never two of one task
    ca_file: str | None = None  # PEM: authorities that are trusted beside the system's
    client_cert_file: str | None = None  # PEM: the certificate that is shown to a backend, with its key


class Backends(Section, frozen=True):
    """How many backends are served at once, and for how long one without tasks."""

    max: Count = 64  # each has a lane, a watcher and connections; beyond, tasks for others are refused
    end_idle_after_s: Seconds = 300.0  # without a task that goes on, and without an undelivered event


class Backend(Section, frozen=True):
    """How one backend is spoken to."""

    base_url: str
    contract: str = "auto"  # found by itself; "standard", or the path of a contract in TOML
    token_file: str | None = None  # of this backend alone


class Heartbeat(Section, frozen=True):
    """When the daemon sends heartbeats for an agent."""

    interval_s: Annotated[float, Meta(ge=1, le=600)] = 15.0  # the skill's rule: every 10 to 20 s
    jitter_s: Annotated[float, Meta(ge=0, le=60)] = 2.0  # spreads the tasks
    lease_s: Annotated[float, Meta(ge=vocabulary.MIN_LEASE_S, le=vocabulary.MAX_LEASE_S)] = vocabulary.DEFAULT_LEASE_S
    stall_after_s: Seconds = 600.0  # a running process whose agent reports nothing for longer is stalled


class Poll(Section, frozen=True):
    """How the backend is polled for stops."""

    interval_s: Annotated[float, Meta(ge=0.1, le=600)] = 2.0  # where the backend cannot hold a request
    wait_s: Annotated[float, Meta(ge=0, le=55)] = 50.0  # for how long a backend that can is asked to hold it
    budget_per_s: Annotated[float, Meta(ge=0.1, le=1000)] = 10.0  # requests to a plain backend, over all its tasks
    recheck_batch_s: Seconds = 600.0  # how often a plain backend is asked whether it has the batch routes by now


class Summary(Section, frozen=True):
    """What becomes of a summary."""

    max_chars: Annotated[int, Meta(ge=vocabulary.MIN_SUMMARY_CHARS, le=vocabulary.MAX_SUMMARY_CHARS)] = vocabulary.SUMMARY_CHARS
    mask_credentials: bool = True


class Metadata(Section, frozen=True):
    """What is told of a task without anybody having said it."""

    automatic: bool = True  # host, user, cwd, project and branch of a new task, where its caller gave no such pair
    private_to_remote: bool = False  # user, cwd and command also to a backend on another machine


class Tasks(Section, frozen=True):
    """How many tasks are known, and for how long."""

    max_known: Count = 1_000_000  # some 2 KiB of memory each while it goes on; see benchmarks/many_tasks.py
    forget_ended_after_s: Seconds = 86_400.0
    forget_lost_after_s: Seconds = 7 * 86_400.0


class Agents(Section, frozen=True):
    """What is taken of coding agents that report by themselves, and when one that does not end is signalled."""

    share_prompts: bool = False  # the first line of prompts, and questions, also to a backend on another machine
    share_tools: bool = False  # all that a hook says of a tool; else its name alone
    interrupt_after_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0  # 0: never; SIGINT, where a stop only refuses tools
    lost_after_s: Seconds = 3600.0  # of a session whose process is not known


class Listen(Section, frozen=True):
    """Bounds of the sockets."""

    max_connections: Count = 512
    group: str | None = None  # a group whose members may also connect, for a system service
    zmq_server_key_file: str | None = None  # CURVE secret key, for zmq over tcp
    zmq_client_keys: tuple[str, ...] = ()  # CURVE public keys of the clients that are let in


class Shutdown(Section, frozen=True):
    """How long the shutdown may take."""

    deliver_s: Annotated[float, Meta(ge=0, le=60)] = 3.0  # one bounded try to deliver what waits
    deadline_s: Seconds = 20.0  # ends the shutdown, whatever is left


class Settings(Section, frozen=True):
    """Everything that can be set."""

    base_url: str = locations.DEFAULT_BASE_URL
    socket: str | None = None
    zmq: str | None = None
    state_dir: str | None = None
    token_file: str | None = None
    metrics: str | None = None
    loop: Annotated[str, Meta(pattern=r"\A(auto|asyncio|uvloop)\Z")] = "auto"
    log_level: Annotated[str, Meta(pattern=r"\A(debug|info|warning|error)\Z")] = "info"
    log_format: Annotated[str, Meta(pattern=r"\A(text|json|journal)\Z")] = "text"
    idle_exit_s: Annotated[float, Meta(ge=0)] = 0.0  # 0: never
    backend: tuple[Backend, ...] = ()  # one table [[backend]] each, for those that want something of their own
    outbox: OutboxBounds = OutboxBounds()
    batch: Batch = Batch()
    retry: Retry = Retry()
    http: Http = Http()
    backends: Backends = Backends()
    heartbeat: Heartbeat = Heartbeat()
    poll: Poll = Poll()
    summary: Summary = Summary()
    metadata: Metadata = Metadata()
    tasks: Tasks = Tasks()
    agents: Agents = Agents()
    listen: Listen = Listen()
    shutdown: Shutdown = Shutdown()

    def of_backend(self, base_url: str) -> Backend:
        """What is set for one backend: its own table, or the defaults."""
        return next((each for each in self.backend if canonical(each.base_url) == base_url), Backend(base_url))


AT_START = frozenset(
    {
        "socket",
        "zmq",
        "state_dir",
        "metrics",
        "outbox.ballast_bytes",
        "listen.group",
        "listen.zmq_server_key_file",
        "loop",
    }
)
"""Settings that are read when the daemon starts and not when it reloads: where it listens and who may connect."""


@dataclass(slots=True)
class LiveSettings:
    """The settings in force. Who depends on settings keeps this and reads it each time, so that a reload reaches all at once.

    Attributes:
        now: All of them.
    """

    now: Settings


def ipc_path(endpoint: str) -> Path | None:
    """The path of an ``ipc://`` endpoint; None for ``tcp://``.

    Raises:
        SettingsError: It is neither.
    """
    if endpoint.startswith("tcp://"):
        return None
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or not path.startswith("/"):
        raise SettingsError(f"zmq: {endpoint!r}: expected ipc:///absolute/path or tcp://address:port")
    return Path(os.path.normpath(path))


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where the metrics are served: a Unix socket's path, or a loopback address."""

    path: Path | None
    host: str = ""
    port: int = 0


def metrics_address(text: str) -> MetricsAddress:
    """Reads the setting ``metrics``.

    Raises:
        SettingsError: It is no address, or one that other machines can reach.
    """
    import ipaddress  # noqa: PLC0415 - only where metrics are configured

    if text.startswith("unix:/"):
        return MetricsAddress(Path(os.path.normpath(text.removeprefix("unix:"))))
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    expected = "expected a loopback address and a port such as 127.0.0.1:9464, or unix:/path"
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise SettingsError(f"metrics: {text!r} names no port; {expected}")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise SettingsError(f"metrics: {text!r} is not an address; {expected}") from None
    if not loopback:
        raise SettingsError(f"metrics: {text} can be reached by others, and wants no token; {expected}")
    return MetricsAddress(None, host, int(port))


def check_zmq(endpoint: str, listen: Listen) -> None:
    """Refuses an endpoint that others could reach without a key.

    Raises:
        SettingsError: It is of another kind than ``ipc`` and ``tcp``, or ``tcp`` without keys.
    """
    if ipc_path(endpoint) is None and (listen.zmq_server_key_file is None or not listen.zmq_client_keys):
        raise SettingsError(
            f"zmq: {endpoint} is reachable by others, so it wants listen.zmq_server_key_file (a CURVE secret) and "
            "listen.zmq_client_keys (the public keys that are let in); or use ipc://"
        )

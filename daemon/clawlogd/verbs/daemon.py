"""``daemon.status`` and ``daemon.flush``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.addresses import canonical
from clawlogd import __version__
from clawlogd.clock import rfc3339
from clawlogd.context import CallContext
from clawlogd.delivery.report import LaneReport, LaneState
from clawlogd.faults import Fault
from clawlogd.services import Services
from clawlogd.tasks.registry import Registry
from clawlogd.text import clean_text
from clawlogd.upstream.finder import ContractState
from clawlogd.verbs.fields import KnownId, NoParams, Params, hint
from clawlogd.verbs.verb import Verb

_MAX_PROBLEM_CHARS = 1000
_MAX_UNKNOWN = 100
_UNKNOWN_ROUNDS = 3  # intervals between polls
_UNKNOWN_S = 2.0
_BROKEN = frozenset({LaneState.OUTAGE, LaneState.UNAUTHORIZED, LaneState.NO_CONTRACT, LaneState.STORAGE_FAILED})

# ── Status ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class TaskCounts(msgspec.Struct, frozen=True):
    """Tasks by their state."""

    known: int
    live: int
    lost: int
    stopping: int


class OutboxReport(msgspec.Struct, frozen=True):
    """The outbox as ``daemon.status`` shows it."""

    pending: int
    dead_letters: int
    bytes: int
    max_events: int
    max_bytes: int
    accepted_per_hour: float
    hours_left: float | None
    lost: int
    damaged: int
    storage_error: str | None
    recovered_from: str | None
    recovered_why: str | None
    spool_set_aside: int
    rows_set_aside: int


class UnknownStop(msgspec.Struct, frozen=True):
    """A task of which it is not known whether a person wants it to stop: since when (RFC 3339), and why."""

    task_id: str
    base_url: str
    since: str
    detail: str


class DaemonStatus(msgspec.Struct, frozen=True):
    """Answers ``daemon.status``.

    Attributes:
        features: What this daemon has and an older one may lack.
        event_loop: ``asyncio``, or ``uvloop`` and its version.
        stops_unknown: The tasks whose stop is not known, the longest first, and no more than a hundred.
        faults: What the daemon's own faults set aside in the last hour.
    """

    version: str
    protocol: int
    features: tuple[str, ...]
    pid: int
    uptime_s: float
    state_dir: str
    socket: str | None
    zmq: str | None
    metrics: str | None
    event_loop: str
    base_url: str
    healthy: bool
    problems: tuple[str, ...]
    tasks: TaskCounts
    outbox: OutboxReport
    backends: tuple[LaneReport, ...]
    stops_unknown: tuple[UnknownStop, ...]
    faults: tuple[Fault, ...]
    memory_bytes: int


def status(services: Services, params: NoParams, context: CallContext) -> DaemonStatus:
    """Shows the daemon's health and its queue."""
    del params, context
    return current_status(services)


def current_status(services: Services) -> DaemonStatus:
    """The daemon's health and queue as they are now, and what of that needs a person's attention."""
    reports = tuple(lane.report() for lane in services.backends)
    outbox = _outbox_report(services)
    problems = [_lane_problem(report) for report in reports if _broken(report)]
    problems += [problem for report in reports for problem in _task_problems(report)]
    problems += _unknown_problem(services, [report.base_url for report in reports if not _broken(report)])
    faults = services.faults.report()
    problems += [
        f"{each.part} was set aside by {each.detail}; times: {each.times}, last {each.last}; the rest goes on; please report it"
        for each in faults
    ]
    problems += _outbox_problems(outbox)
    problems += services.runtime.lost_places
    if services.runtime.spool_problem is not None:
        problems.append(f"the spool cannot be read: {services.runtime.spool_problem}; what programs wrote there waits")
    if services.runtime.spool_held is not None:
        problems.append(f"tasks whose calls wait in the spool for a bound: {services.runtime.spool_held}")
    if services.runtime.reload_error is not None:
        problems.append(
            f"the settings could not be read again, those from before are in force: {services.runtime.reload_error}"
        )
    return DaemonStatus(
        version=__version__,
        protocol=vocabulary.PROTOCOL_VERSION,
        features=vocabulary.FEATURES,
        pid=os.getpid(),
        uptime_s=round(services.clock.monotonic() - services.runtime.started, 3),
        state_dir=services.runtime.state_dir,
        socket=services.runtime.socket,
        zmq=services.runtime.zmq,
        metrics=services.runtime.metrics,
        event_loop=services.runtime.event_loop,
        base_url=canonical(services.settings.base_url),
        healthy=not problems,
        problems=tuple(clean_text(problem, _MAX_PROBLEM_CHARS) for problem in problems),
        tasks=_counts(services.registry),
        outbox=outbox,
        backends=reports,
        stops_unknown=tuple(islice(_unknown_stops(services), _MAX_UNKNOWN)),
        faults=faults,
        memory_bytes=_resident_bytes(),
    )


def _counts(registry: Registry) -> TaskCounts:
    census = registry.census
    return TaskCounts(len(registry), census.live, len(census.lost), census.stopping)


def _outbox_report(services: Services) -> OutboxReport:
    outbox, bounds = services.outbox, services.settings.outbox
    per_hour = outbox.accepted_per_hour()
    hours_left = None
    if per_hour > 0 and outbox.counts.waiting:
        mean_bytes = outbox.counts.size_bytes / outbox.counts.waiting
        room = min(bounds.max_events - outbox.counts.waiting, (bounds.max_bytes - outbox.counts.size_bytes) / mean_bytes)
        hours_left = round(max(room, 0.0) / per_hour, 1)
    recovery = services.runtime.recovery
    return OutboxReport(
        pending=outbox.counts.pending.total() + outbox.counts.held.total(),
        dead_letters=outbox.counts.dead.total(),
        bytes=outbox.counts.size_bytes,
        max_events=bounds.max_events,
        max_bytes=bounds.max_bytes,
        accepted_per_hour=round(per_hour, 1),
        hours_left=hours_left,
        lost=outbox.lost,
        damaged=len(services.runtime.damaged) + len(outbox.damaged_rows),
        storage_error=outbox.storage_error,
        recovered_from=str(recovery.moved_to) if recovery else None,
        recovered_why=recovery.reason if recovery else None,
        spool_set_aside=services.runtime.spool_set_aside,
        rows_set_aside=outbox.rows_set_aside,
    )


def _broken(report: LaneReport) -> bool:
    return report.state in _BROKEN


def _lane_problem(report: LaneReport) -> str:
    if report.state is LaneState.UNAUTHORIZED:
        return _refused_problem(report)
    if report.state is LaneState.STORAGE_FAILED:
        return f"what {report.base_url} took cannot be recorded; free disk space: it is sent again until it can"
    if report.state is LaneState.NO_CONTRACT:
        found = report.contract_detail if report.contract == ContractState.MISSING else report.last_error
        return (
            f"{report.base_url} is not spoken to, for it is not known how ({found}); nothing is sent, nothing is lost, "
            f"waiting events: {report.pending}; see: clawlog contract show {report.base_url}"
        )
    since = f" since {report.outage_since}" if report.outage_since else ""
    return f"{report.base_url} is unavailable{since} ({report.last_error}); waiting events: {report.pending}"


def _refused_problem(report: LaneReport) -> str:
    if report.token_sent or not (report.last_error or "").partition(": ")[2].startswith("HTTP 40"):
        return f"{report.base_url} refuses the token ({report.last_error}); set CLAWLOG_TOKEN_FILE: it is read again by itself"
    if "HTTP 401" in (report.last_error or ""):
        return (
            f"{report.base_url} needs an access token, and none is set for it ({report.last_error}); "
            "set CLAWLOG_TOKEN_FILE: it is read again by itself"
        )
    return (
        f"{report.base_url} forbids everything ({report.last_error}); see what stands before it, such as a proxy or a "
        f"firewall, and whom it lets in; waiting events: {report.pending}"
    )


def _task_problems(report: LaneReport) -> list[str]:
    problems = []
    if report.parked_tasks:
        problems.append(
            f"{report.base_url} fails at the events of some tasks while it takes others ({report.parked_error}); "
            f"they are kept, and tried again; such tasks: {report.parked_tasks}"
        )
    if report.resyncing:
        problems.append(
            f"{report.base_url} does not know tasks any more that it had taken; "
            f"they are looked into, and told anew; such tasks: {report.resyncing}"
        )
    if report.unmapped_tasks:
        problems.append(
            f"{report.base_url} names the steps of some tasks in a way that cannot be told from others; "
            f"they are reported as summaries of their tasks; such tasks: {report.unmapped_tasks}"
        )
    return problems


def _unknown_stops(services: Services) -> Iterator[UnknownStop]:
    # A single question that failed is nobody's concern: the next follows at once.
    found = services.interrupts.unknown_tasks(max(_UNKNOWN_S, _UNKNOWN_ROUNDS * services.settings.poll.interval_s))
    return (UnknownStop(task.task_id, task.base_url, rfc3339(state.since_ms), state.detail) for task, state in found)


def _unknown_problem(services: Services, reached: Collection[str]) -> list[str]:
    """That stops are unknown at backends that are reached; where one is away, that says it already, and it is of all tasks."""
    if not reached:
        return []
    unknown = (each for each in _unknown_stops(services) if each.base_url in reached)
    first = next(unknown, None)
    if first is None:
        return []
    counted = f"tasks of which it is not known whether a person wants them to stop: {1 + sum(1 for _ in unknown)}"
    return [f"{counted}; the first, since {first.since}: {first.task_id} ({first.detail})"]


def _outbox_problems(outbox: OutboxReport) -> list[str]:
    problems = []
    if outbox.storage_error:
        problems.append(f"the last commit failed ({outbox.storage_error}); nothing is accepted until the disk has space again")
    if outbox.dead_letters:
        problems.append(f"events refused by their backend: {outbox.dead_letters}; see: clawlog dead-letter list")
    if outbox.lost:
        problems.append(f"accepted events that are gone, for the outbox's file was damaged: {outbox.lost}")
    if outbox.damaged:
        problems.append(
            f"records that do not fit their checksums: {outbox.damaged}; the events become dead letters, the tasks are unknown"
        )
    if outbox.recovered_from:
        problems.append(
            f"the outbox was damaged ({outbox.recovered_why}) and was recovered; the old file is {outbox.recovered_from}"
        )
    if outbox.spool_set_aside:
        problems.append(f"spooled calls that could not be used: {outbox.spool_set_aside}; they are in the folder spool/refused")
    if outbox.rows_set_aside:
        problems.append(
            f"changes of tasks that cannot be written: {outbox.rows_set_aside}; a restart loses them, the log names them"
        )
    if outbox.pending >= outbox.max_events or outbox.bytes >= outbox.max_bytes:
        problems.append("the outbox is full: new commands are refused until deliveries make room")
    return problems


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


# ── Flush ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class FlushRequest(Params, frozen=True):
    """``daemon.flush``."""

    timeout_s: Annotated[float, Meta(ge=0, le=3600), hint("expected 0 to 3600 seconds")] = 30.0
    task_id: KnownId | None = None


class Flushed(msgspec.Struct, frozen=True):
    """Answers ``daemon.flush``.

    Attributes:
        flushed: Whether nothing waits any more.
        pending: How many events do.
    """

    flushed: bool
    pending: int


async def flush(services: Services, params: FlushRequest, context: CallContext) -> Flushed:
    """Returns once nothing waits (of one task, or at all), or when waiting longer is pointless, or at the timeout."""
    del context
    task = services.registry.get(params.task_id) if params.task_id is not None else None
    lanes = [services.backends.lane(task.base_url)] if task else list(services.backends)

    def left() -> int:
        return services.outbox.counts.by_task[task.task_id] if task else services.outbox.counts.waiting

    for lane in lanes:
        lane.retry_now()
    with anyio.move_on_after(params.timeout_s):
        while left() and any(lane.pending for lane in lanes):
            async with anyio.create_task_group() as waits:
                for lane in lanes:
                    waits.start_soon(_first, lane.next_round, waits.cancel_scope)
    return Flushed(flushed=not left(), pending=left())


async def _first(wait: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
    """Waits, then cancels the others of the scope."""
    await wait()
    scope.cancel()


STATUS = Verb("daemon.status", NoParams, DaemonStatus, status, about_tasks=False)
FLUSH = Verb("daemon.flush", FlushRequest, Flushed, flush, waits=True)

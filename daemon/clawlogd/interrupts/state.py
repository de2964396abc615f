"""What is known of people's requests to interrupt a task, and how fresh that knowledge is.

An interrupt is kept in its task's record, so it survives a restart. Each stage of its way to the agent is an event for the
backend: seen by the daemon, delivered to the agent, acknowledged. Each is committed together with the record, so that it is
reported once, whenever the daemon may be killed. "No interrupt" is answered only from knowledge that is fresh enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.errors import OutboxError
from clawlogd.instance import private_folder
from clawlogd.interrupts.holds import session_after
from clawlogd.logs import Log
from clawlogd.model import Event, EventKind, Interrupt, Task, nameless_id
from clawlogd.outbox.queue import Outbox
from clawlogd.tasks.registry import ObserverOrder, Registry
from clawlogd.upstream.controls import Control, Unreadable


class InterruptPhase(StrEnum):
    """The stage of an interrupt, as ``interrupt.check`` answers it."""

    NONE = "none"
    REQUESTED = "requested"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"


# Read at each check: up to Python 3.11 it takes longer to find them in their class than to answer from them.
_NONE, _REQUESTED = InterruptPhase.NONE, InterruptPhase.REQUESTED
_ACKNOWLEDGED, _UNKNOWN = InterruptPhase.ACKNOWLEDGED, InterruptPhase.UNKNOWN


class InterruptStatus(msgspec.Struct, frozen=True, gc=False):
    """The answer to ``interrupt.check``."""

    state: InterruptPhase
    interrupt_requested: bool
    interrupt_id: str | None = None
    mode: str | None = None
    reason: str | None = None
    requested_at: str | None = None
    age_s: float | None = None

    @property
    def unknown(self) -> bool:
        """Whether nothing is known that is fresh enough."""
        return self.state is _UNKNOWN


@dataclass(frozen=True, slots=True)
class UnknownState:
    """That a task's control state is not known.

    Attributes:
        since_ms: Since when, in milliseconds since 1970.
        detail: Why.
        hidden: Whether answers about the task are not to be believed: the backend does not know it any more.
    """

    since_ms: int
    detail: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class ControlQuery:
    """When a task's control state was asked for: the answer may be older than what became known meanwhile.

    Attributes:
        asked_at: When it was asked for, monotonic.
        ack_in_flight: Whether the backend may not have had the task's last acknowledgement by then.
    """

    asked_at: float
    ack_in_flight: bool = True


class Interrupts:
    """Keeps the interrupts of all tasks.

    Args:
        registry: The tasks, whose records hold them.
        outbox: Where the receipts go.
        clock: Where the time is read.
        folder: Where a pending interrupt is also a file named for its task, for hooks that only check whether it is there.
    """

    def __init__(self, *, registry: Registry, outbox: Outbox, clock: Clock, folder: Path) -> None:
        self._registry = registry
        self._outbox = outbox
        self._clock = clock
        self._folder = folder
        self._log = Log("stops")
        self._confirmed_at: dict[str, float] = {}  # as of when the backend's word on a task is known
        self._unknown: dict[str, UnknownState] = {}
        self._seen_at: dict[str, float] = {}  # when a task's interrupt was seen first
        self._subscribers: dict[str, list[Callable[[InterruptStatus], None]]] = {}
        registry.observe(ObserverOrder.INTERRUPTS, self._task_changed)

    def resume(self) -> None:
        """Brings the files in line with what is known: those of an earlier run may be stale.

        Raises:
            InstanceError: The folder is none, a link or somebody else's.
        """
        private_folder(self._folder)
        for path in self._folder.iterdir():
            try:
                path.unlink()
            except OSError as error:  # a folder, which nobody here has made
                self._log.warning("stop_file_stays", path=str(path), error=str(error))
        self._write_files()

    def restore_files(self) -> None:
        """Makes the folder anew where it was removed, with the files of all open stops. Cheap where it was not."""
        if self._folder.is_dir() or not self._folder.parents[1].is_dir():  # a state folder that is gone is not made here
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            self._log.warning_seldom("stop_files_lost", error=str(error))
        else:
            self._log.warning("stop_files_lost", path=str(self._folder), remedy="written anew")
            self._write_files()

    def _write_files(self) -> None:
        for task in self._registry:
            if task.interrupt_pending:
                self._write_file(task.task_id, task)

    # ── What the backend answers ───────────────────────────────────────────────────────────────────────────────────

    def begin_query(self, task_id: str) -> ControlQuery:
        """Called right before the backend is asked about a task; ``observe`` needs the result with the answer."""
        return ControlQuery(self._clock.monotonic(), ack_in_flight=self.has_undelivered(task_id))

    def has_undelivered(self, task_id: str) -> bool:
        """Whether the backend may not have all that was reported of a task."""
        return self._outbox.counts.by_task[task_id] > 0

    def confirm(self, task_id: str, at: float) -> None:
        """Notes that the backend has answered for a task, be it by leaving it out of what changed.

        Args:
            task_id: The task.
            at: As of when, monotonic.
        """
        unknown = self._unknown.get(task_id)
        if unknown is not None:
            if unknown.hidden:
                return
            del self._unknown[task_id]
        self._confirmed_at[task_id] = max(at, self._confirmed_at.get(task_id, at))

    def lose(self, task_id: str, detail: str) -> None:
        """Notes that the backend was asked about a task, and did not say how it stands.

        Args:
            task_id: The task.
            detail: What it answered instead.
        """
        if task_id not in self._unknown:
            self._unknown[task_id] = UnknownState(self._clock.wall_ms(), detail)

    def hide(self, task_id: str, detail: str) -> None:
        """Believes no answer about a task until ``show``: the backend does not know it any more.

        Args:
            task_id: The task.
            detail: Why.
        """
        before = self._unknown.get(task_id)
        self._unknown[task_id] = UnknownState(before.since_ms if before else self._clock.wall_ms(), detail, hidden=True)
        self._confirmed_at.pop(task_id, None)

    def show(self, task_id: str) -> None:
        """Believes answers about a task again."""
        self._unknown.pop(task_id, None)

    def hear(self, task_id: str) -> Callable[[Control | Unreadable], None]:
        """Called right before something is sent whose answer may hold a task's control state. Returns what takes that in."""
        query = self.begin_query(task_id)

        def take(control: Control | Unreadable) -> None:
            task = self._registry.find(task_id)
            if isinstance(control, Unreadable):
                self.lose(task_id, control.detail)
            elif task is not None:
                self.observe(task, control, query)

        return take

    def is_readable(self, task_id: str) -> bool:
        """Whether the last answer about a task could be read: then silence about it says that nothing changed."""
        return task_id not in self._unknown

    def unknown(self, task_id: str) -> UnknownState | None:
        """Since when a task's control state is not known, and why; None while it is."""
        return self._unknown.get(task_id)

    def unknown_tasks(self, for_s: float) -> Iterator[tuple[Task, UnknownState]]:
        """The tasks that go on and whose control state has not been known for so long, the longest first: as they came here."""
        before_ms = self._clock.wall_ms() - for_s * 1000
        for task_id, state in self._unknown.items():
            if state.since_ms > before_ms:
                return
            if (task := self._registry.find(task_id)) is not None and not task.status.ended:
                yield task, state

    def observe(self, task: Task, control: Control, query: ControlQuery | None = None) -> bool:
        """Takes in a task's control state, as the backend answered it.

        Args:
            task: The task.
            control: The backend's answer.
            query: When it was asked for; by default just now.

        Returns:
            Whether that was news.
        """
        query = query or self.begin_query(task.task_id)
        try:
            return self._observe(task, control, query)
        except Exception as error:  # noqa: BLE001 - it concerns this task alone: those of the others must be found
            self._log.error("control_failed", task_id=task.task_id, error=repr(error))
            self.lose(task.task_id, f"a fault of the daemon's own: {type(error).__name__}")
            return False

    def _observe(self, task: Task, control: Control, query: ControlQuery) -> bool:
        self.confirm(task.task_id, query.asked_at)
        known = task.interrupt
        if not control.interrupt_requested:
            if known is None or self._seen_at.get(task.task_id, -math.inf) > query.asked_at:
                return False  # a "no" from before the interrupt is not its withdrawal
            if known.acknowledged and not known.nameless:
                return False
            # Withdrawn; or answered, and the server has no ids: the next request is a new one.
            self._put(task, None)
            return True
        marks = (control.requested_at, control.mark)
        interrupt = Interrupt(
            control.interrupt_id or nameless_id("#".join(each for each in marks if each)),
            control.mode or "soft_stop",
            control.reason,
            control.requested_at,
        )
        # A server without ids that still requests an interrupt after it had the acknowledgement requests another one.
        answered = known is not None and known.nameless and known.acknowledged
        again = answered and not query.ack_in_flight and not control.may_outlast
        if known is not None and known.interrupt_id == interrupt.interrupt_id and not again:
            return False
        self._receipt(task, EventKind.INTERRUPT_SEEN, interrupt)
        self._log.info("stop_seen", task_id=task.task_id, interrupt_id=interrupt.interrupt_id)
        self._seen_at[task.task_id] = self._clock.monotonic()
        self._put(task, interrupt)
        return True

    # ── What the agent is answered, and answers ────────────────────────────────────────────────────────────────────

    def status(self, task: Task, max_age_s: float | None = None) -> InterruptStatus:
        """What is known of a task's interrupt.

        Args:
            task: The task.
            max_age_s: How old the knowledge may be that there is none, in seconds; None for any age.
        """
        task_id, unknown = task.task_id, None
        confirmed_at = self._confirmed_at.get(task_id)
        age_s = None if confirmed_at is None else self._clock.monotonic() - confirmed_at
        if self._unknown:
            unknown = self._unknown.get(task_id)
        is_known = unknown is None or (max_age_s is not None and not unknown.hidden)
        interrupt = task.interrupt
        if interrupt is not None and not interrupt.acknowledged and not task.interrupt_pending:
            interrupt = None  # the task ended without an answer to it
        if interrupt is not None and not interrupt.acknowledged:
            phase = _REQUESTED
        elif not task.status.ended and (not is_known or (max_age_s is not None and (age_s is None or age_s > max_age_s))):
            phase = _UNKNOWN
        elif interrupt is not None:
            phase = _ACKNOWLEDGED
        else:
            phase = _NONE
        age_s = None if age_s is None else int(age_s * 1000 + 0.5) / 1000  # a fifth of round(age_s, 3)
        if interrupt is None:
            return InterruptStatus(phase, interrupt_requested=False, age_s=age_s)
        return InterruptStatus(
            state=phase,
            interrupt_requested=phase is _REQUESTED,
            interrupt_id=interrupt.interrupt_id,
            mode=interrupt.mode,
            reason=interrupt.reason,
            requested_at=interrupt.requested_at,
            age_s=age_s,
        )

    def mark_delivered(
        self, task_id: str, summary: str | None = None, at_ms: int | None = None, *, is_late: bool = False
    ) -> bool:
        """Notes that the agent has been answered with its interrupt. Returns whether that is news, and a receipt is queued.

        Args:
            task_id: The task.
            summary: How, such as what was held back.
            at_ms: When; now if None.
            is_late: Whether it was acknowledged before this was heard of.
        """
        task = self._registry.find(task_id)
        if task is None or task.interrupt is None or (not is_late and (task.interrupt.delivered or not task.interrupt_pending)):
            return False
        if not self._receipt(task, EventKind.INTERRUPT_DELIVERED, task.interrupt, summary, at_ms or 0):
            return False
        self._put(task, msgspec.structs.replace(task.interrupt, delivered=True))
        return True

    @property
    def awaited(self) -> Collection[str]:
        """The tasks whose interrupt somebody waits for."""
        return self._subscribers.keys()

    def subscribe(self, task_id: str, subscriber: Callable[[InterruptStatus], None]) -> Callable[[], None]:
        """Calls ``subscriber`` at each change of a task's interrupt. Returns what ends that."""
        self._subscribers.setdefault(task_id, []).append(subscriber)

        def unsubscribe() -> None:
            subscribers = self._subscribers.get(task_id, [])
            if subscriber in subscribers:
                subscribers.remove(subscriber)
            if not subscribers:
                self._subscribers.pop(task_id, None)

        return unsubscribe

    def _receipt(self, task: Task, kind: EventKind, interrupt: Interrupt, summary: str | None = None, at_ms: int = 0) -> bool:
        now_ms = self._clock.wall_ms()
        event = Event(
            event_id=new_uuid(),
            task_id=task.task_id,
            kind=kind,
            at=rfc3339(at_ms or now_ms),
            interrupt_id=interrupt.backend_id,
            summary=summary,
        )
        try:
            self._outbox.add(event, now_ms, task.base_url)
        except OutboxError as error:
            self._log.warning("receipt_not_recorded", task_id=task.task_id, kind=kind, error=str(error))
            return False
        return True

    def _put(self, task: Task, interrupt: Interrupt | None) -> None:
        current = self._registry.find(task.task_id)
        if current is not None:
            session = session_after(current.session, current.interrupt, interrupt, self._clock.wall_ms())
            self._registry.put(msgspec.structs.replace(current, interrupt=interrupt, session=session))

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        if after is None:
            if before is not None:
                self._confirmed_at.pop(before.task_id, None)
                self._seen_at.pop(before.task_id, None)
                self._unknown.pop(before.task_id, None)
                self._write_file(before.task_id, None)
            return
        if (_visible(before) if before else (False, None, False)) == _visible(after):
            return
        self._write_file(after.task_id, after)
        for subscriber in tuple(self._subscribers.get(after.task_id, ())):
            subscriber(self.status(after))

    def _write_file(self, task_id: str, task: Task | None) -> None:
        """Writes a task's file whole, whatever is in its place; removes it where no stop is open."""
        path, draft = self._folder / task_id, self._folder / f".{task_id}.draft"
        try:
            if task is not None and task.interrupt is not None and task.interrupt_pending:
                draft.unlink(missing_ok=True)
                with draft.open("x", encoding="utf-8") as file:
                    file.write(f"{task.interrupt.interrupt_id}\n{task.interrupt.reason or ''}\n")
                draft.replace(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._log.warning("stop_file_failed", task_id=task_id, error=str(error))


def _visible(task: Task) -> tuple[bool, str | None, bool]:
    """What subscribers are called for when it changes: not for the delivery, which they make themselves."""
    interrupt = task.interrupt
    return (task.interrupt_pending, interrupt.interrupt_id, interrupt.acknowledged) if interrupt else (False, None, False)

"""The outbox as the event loop uses it: group commit, bounds, counts, and the memory of repeated calls.

Everything that happens while one group is being committed becomes the next group: however many commands arrive, each waits for
at most two commits. All disk work is done by one thread. When a commit fails, so does everything that was built on it: memory
is rolled back to what the disk has, and nothing is half-accepted. From then on new events are refused, while deliveries may use
the reserve's space to be recorded, until a probe finds that the disk takes writes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from clawlogd.clock import Clock
from clawlogd.errors import DuplicateEvent, OutboxError, StorageDamaged, StorageFailed, StorageLost
from clawlogd.logs import Log
from clawlogd.model import Event, Step, Task
from clawlogd.outbox.counts import AcceptanceRate, OutboxCounts
from clawlogd.outbox.duplicates import RecentEventIds
from clawlogd.outbox.gathering import gather_more
from clawlogd.outbox.identity import identity_of
from clawlogd.outbox.integrity import Witness, event_checksum, lane_number, storage_error
from clawlogd.outbox.records import CommitGroup, FirstCall, Refusal
from clawlogd.outbox.reserve import Reserve
from clawlogd.outbox.schema import EventState
from clawlogd.outbox.store import Store
from clawlogd.settings import LiveSettings

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Durable events on their way to their backends.

    Args:
        store: The open file.
        witness: Has the last event number, whatever became of the file.
        reserve: Space to free when the disk is full.
        settings: The bounds.
        clock: Where the time is read.
        storage_probe_s: How often a disk that failed is probed.

    Attributes:
        lost: How many accepted events were ever found to be gone.
        counts: How much waits.
        storage_error: Why nothing is accepted now; None while events are.
        deciding: Held while an operator's decision on dead letters is carried out.
    """

    def __init__(
        self,
        *,
        store: Store,
        witness: Witness,
        reserve: Reserve,
        settings: LiveSettings,
        clock: Clock,
        storage_probe_s: float = 1.0,
    ) -> None:
        self._store = store
        self._witness = witness
        self._reserve = reserve
        self._settings = settings
        self._storage_probe_s = storage_probe_s
        self._log = Log("outbox")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._loop = asyncio.get_running_loop()
        self._open: CommitGroup | None = None
        self._committing: asyncio.Task[None] | None = None
        self._recent = RecentEventIds(clock)
        self._lanes: dict[str, int] = {url: lane for lane, url in store.lanes()}
        self._lanes_on_disk = set(self._lanes.values())
        self._next_seq = max(store.last_seq(), witness.last_seq) + 1
        store.note_lost(self._next_seq - 1)
        witness.advance(self._next_seq - 1)
        self.lost = store.lost()
        self.counts = OutboxCounts(store.waiting())
        self.storage_error: str | None = None
        self.rows_set_aside = 0
        self._probing: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._listeners: dict[int, Callable[[], None] | None] = {}
        self.deciding = asyncio.Lock()
        self._rate = AcceptanceRate(clock)

    # ── Writing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, event: Event, at_ms: int, base_url: str, reply: bytes | None = None, *, first: Event | None = None) -> int:
        """Puts an event into the open group. Returns its number.

        Args:
            event: What happened.
            at_ms: When, as in ``event.at``.
            base_url: The backend that it is for.
            reply: What a repeated call will be answered.
            first: One that stands before it: both are accepted, or neither is.

        Raises:
            OutboxFull: A bound is reached.
            StorageFailed: The last commit failed, and no probe has found since that the disk takes writes.
        """
        body, first_body = _encode(event), b"" if first is None else _encode(first)
        if self.storage_error is not None:
            raise StorageFailed(self.storage_error)
        self.counts.refuse_full(self._settings.now.outbox, 1 if first is None else 2, len(body) + len(first_body))
        if first is not None:
            self._append(first, first_body, at_ms, base_url, None)
        return self._append(event, body, at_ms, base_url, reply)

    def _append(self, event: Event, body: bytes, at_ms: int, base_url: str, reply: bytes | None) -> int:
        group = self._open or self._group()
        lane = self.lane(base_url)
        seq = self._next_seq
        self._next_seq = seq + 1
        event_id = bytes.fromhex(event.event_id.replace("-", ""))
        crc = event_checksum(seq, event_id, lane, event.task_id, at_ms, body)
        group.events.append((seq, event_id, lane, event.task_id, at_ms, len(body), crc, body, reply, identity_of(event)))
        self.counts.change(event.task_id, lane, len(body), EventState.PENDING, 1)
        if lane not in self._lanes_on_disk:
            group.lanes[lane] = base_url
        self._recent.remember(event_id, group.done)
        return seq

    def save(self, task: Task, *, head: bool = True, steps: tuple[Step, ...] = (), gone: tuple[Step, ...] = ()) -> None:
        """Puts a task's row and the rows of some of its steps into the open group.

        Args:
            task: The task.
            head: Whether anything but steps changed.
            steps: The steps that changed.
            gone: The steps that the task has no more.
        """
        group = self._open or self._group()
        if head:
            group.tasks[task.task_id] = task
        for step in steps:
            group.steps[task.task_id, step.step_id] = step
        for step in gone:
            group.steps[task.task_id, step.step_id] = None

    def forget(self, task_id: str) -> None:
        """Deletes a task's rows with the open group."""
        self._group().forgotten.append(task_id)

    def settle(self, seq: int, task_id: str, lane: int, size_bytes: int, was: EventState = EventState.PENDING) -> None:
        """Records, with the open group, that an event is settled: it was delivered, or dropped by an operator."""
        group = self._group()
        group.moved[seq] = EventState.SETTLED
        self.counts.change(task_id, lane, size_bytes, was, -1)
        group.undo.append(partial(self.counts.change, task_id, lane, size_bytes, was, 1))

    def move(self, seq: int, lane: int, was: EventState, to: EventState, refusal: Refusal | None = None) -> None:
        """Records, with the open group, that an event is dead, held behind one that is, or pending again."""
        group = self._group()
        group.moved[seq] = to
        if refusal is not None:
            group.refusals.append(refusal)
        self.counts.move(lane, was, to)
        group.undo.append(partial(self.counts.move, lane, to, was))

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Calls ``undo`` if the open group cannot be committed: it puts memory back."""
        self._group().undo.append(undo)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Calls ``action`` once the open group is on disk."""
        self._group().after.append(action)

    def committed(self) -> asyncio.Future[None]:
        """Resolved when the open group is on disk; fails with ``StorageFailed`` otherwise."""
        return self._group().done

    def _group(self) -> CommitGroup:
        if self._open is None:
            self._open = CommitGroup(self._loop.create_future())
            self._open.done.add_done_callback(_retrieved)
            if self._committing is None:
                self._committing = self._loop.create_task(self._commit_all(), name="outbox-commit")
        return self._open

    async def _commit_all(self) -> None:
        try:
            while (group := self._open) is not None:
                self._open = None
                try:
                    await self._loop.run_in_executor(self._thread, self._commit, group)
                except OutboxError as error:
                    self._roll_back(group, error)
                except Exception as error:  # noqa: BLE001 - the group is not on disk, and memory is put back: all can go on
                    self._log.error("commit_failed", error=repr(error))
                    self._roll_back(group, StorageFailed(f"a fault of the daemon's own: {error!r}"))
                else:
                    self._confirm(group)
                await gather_more(lambda: self._open)
        except Exception as error:  # noqa: BLE001 - memory and disk may differ now: only a new start can tell
            self._break(error)
        finally:
            self._committing = None

    def _commit(self, group: CommitGroup) -> None:
        if group.events:
            self._store.place.check()
        try:
            self._store.commit(group)
        except StorageFailed:
            # The reserve is for the record of deliveries alone: new events would use it up at once.
            if group.events or not group.moved or not self._reserve.free():
                raise
            self._store.commit(group)
            self._reserve.restore()
        if group.events:
            self._witness.advance(group.events[-1][0])

    def _confirm(self, group: CommitGroup) -> None:
        self._lanes_on_disk.update(group.lanes)
        self._rate.note(len(group.events))
        if group.set_aside:
            self._log.error("rows_set_aside", rows=", ".join(group.set_aside))
            self.rows_set_aside += len(group.set_aside)
        for action in group.after:
            self._log.guarded("after_commit_failed", action)
        if not group.done.done():
            group.done.set_result(None)
        if self._reserve.in_use and self.storage_error is None:  # new events would use up what is left of the reserve
            self._storage_failed(StorageFailed("the disk is full: deliveries are recorded in the space kept for that"))
        for lane in {row[2] for row in group.events}:
            if listener := self._listeners.get(lane):
                self._log.guarded("after_commit_failed", listener)

    def _roll_back(self, group: CommitGroup, error: OutboxError) -> None:
        failed = [group] if self._open is None else [group, self._open]
        self._open = None
        for each in reversed(failed):
            for undo in reversed(each.undo):
                undo()
            for seq, event_id, lane, task_id, _, size, *_ in reversed(each.events):
                self._next_seq = seq
                self._recent.forget(event_id)
                self.counts.change(task_id, lane, size, EventState.PENDING, -1)
        if isinstance(error, DuplicateEvent):
            # Memory took an old event for a new one, as it does after the clock was put back: the file is checked from now on.
            self._recent.check_the_file_for(event_id for _, event_id, *_ in group.events)
            self._log.warning("event_repeated", error=str(error))
        else:
            self._storage_failed(error)
        for each in failed:
            if not each.done.done():
                each.done.set_exception(type(error)(str(error)))

    # ── A disk that fails ──────────────────────────────────────────────────────────────────────────────────────────

    async def until_broken(self) -> None:
        """Raises when the file turns out to be damaged: the daemon must end, so that its next start recovers what is left."""
        await asyncio.shield(self._broken)

    def _break(self, error: Exception) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)
            self._broken.exception()  # retrieved, even when the daemon is ending already

    async def check_place(self) -> None:
        """Accepts nothing more if the file is not where it was."""
        try:
            await self.read(lambda store: store.place.check())
        except StorageLost as error:
            self._storage_failed(error)

    def _storage_failed(self, error: OutboxError) -> None:
        if isinstance(error, StorageDamaged):
            self._break(error)
        if self.storage_error is None:
            self._log.error("storage_failed", error=str(error))
        self.storage_error = str(error)
        if self._probing is None:
            self._probing = self._loop.create_task(self._until_storage_works(), name="outbox-probe")

    async def _until_storage_works(self) -> None:
        works = False
        while not works:
            await asyncio.sleep(self._storage_probe_s)
            with contextlib.suppress(StorageFailed):
                works = await self.read(self._storage_works)
        self._log.info("storage_recovered")
        self.storage_error = self._probing = None

    def _storage_works(self, store: Store) -> bool:
        store.place.check()
        return self._reserve.regain_room(store.make_room)

    # ── Lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def lane(self, base_url: str) -> int:
        """The number of a backend's lane: it is made from the address."""
        lane = self._lanes.get(base_url)
        if lane is None:
            lane = self._lanes[base_url] = lane_number(base_url)
        return lane

    @property
    def base_urls(self) -> list[str]:
        """The backends that ever had an event, or have one in the open group."""
        return list(self._lanes)

    @property
    def waiting_for(self) -> list[str]:
        """The backends for which an event is pending, dead or held."""
        return [
            url
            for url, lane in self._lanes.items()
            if self.counts.pending[lane] or self.counts.dead[lane] or self.counts.held[lane]
        ]

    def listen(self, lane: int, listener: Callable[[], None] | None) -> None:
        """Calls ``listener`` whenever a lane has something new to deliver; None to call nobody any more."""
        self._listeners[lane] = listener

    # ── Counts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def accepted(self) -> int:
        """How many events were ever accepted: their numbers have no gaps."""
        return self._witness.last_seq

    def accepted_per_hour(self) -> float:
        """The rate at which events were accepted lately."""
        return self._rate.per_hour()

    # ── Repeated calls ─────────────────────────────────────────────────────────────────────────────────────────────

    def surely_new(self, event_id: bytes) -> bool:
        """Whether memory alone shows that this event id is new; else ``first_call`` asks the file."""
        return self._recent.surely_new(event_id)

    async def first_call(self, event_id: bytes) -> FirstCall | None:
        """The first call with this event id, once it is on disk; None if no call was accepted.

        When it returns None, nothing else has run since: a caller that goes on at once is the first.

        Raises:
            StorageFailed: The file cannot be read.
        """
        while True:
            await self._recent.committed(event_id)
            first = await self.read(lambda store: store.first_call(event_id))
            if first is not None or event_id not in self._recent:
                return first

    # ── Reading, pruning, and the end ──────────────────────────────────────────────────────────────────────────────

    async def read(self, query: Callable[[Store], T]) -> T:
        """Runs a query in the outbox's thread, after the commits that were begun before.

        Raises:
            StorageFailed: The disk is full or failed, or the file is damaged.
        """
        try:
            return await self._loop.run_in_executor(self._thread, query, self._store)
        except sqlite3.Error as error:
            failed = storage_error(error)
            if isinstance(failed, StorageDamaged):
                self._break(failed)
            raise failed from error

    async def prune(self, before_ms: int) -> int:
        """Deletes some of the settled events that happened before a time. Returns how many.

        Raises:
            StorageFailed: The disk is full or failed.
        """
        return await self.read(lambda store: store.prune(before_ms))

    @property
    def damaged_rows(self) -> list[str]:
        """Keys of task and step rows that could not be used."""
        return self._store.damaged_rows

    async def close(self) -> None:
        """Commits what is open, and folds the WAL into the file, which is sealed unless it turned out to be damaged."""
        if self._probing is not None:
            self._probing.cancel()
        while self._open is not None or self._committing is not None:
            await (asyncio.wait([self._committing]) if self._committing is not None else asyncio.sleep(0))
        await self._loop.run_in_executor(self._thread, partial(self._store.close, seal=not self._broken.done()))
        self._witness.close()
        self._thread.shutdown()


def _retrieved(future: asyncio.Future[None]) -> None:
    # A group that nobody waits for (such as a lane's records) may fail without asyncio logging that as never retrieved.
    if not future.cancelled():
        future.exception()

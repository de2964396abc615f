"""Drains the spool: the calls that programs wrote down while no daemon could take them, in order, each made once.

What it holds of a task comes before anything newer of that task, by whichever way that comes: the dispatcher asks at each turn
of a caller whether the folder has changed, and has it drained first (an answer that it cannot change, see ``Verb.from_memory``,
does not wait for that). While it cannot be drained, its tasks' commands are
refused with the same error, so that their callers write them down behind what is there. A call that is refused for its own
task's sake alone (a bound on tasks or backends) holds back its task, and no other.

A file is removed only when its events are in the outbox. One that is damaged, or whose call is refused, is moved to
``refused/``: a person can read it, and it holds up nothing.

Programs in a sandbox write to other folders, the drops (``drops``). Their files are of one order with the spool's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from clawlog.protocol.errors import NOT_NOW, RpcError
from clawlog.protocol.spool import DROPPABLE, PASSING, SPOOLABLE, SpooledCalls
from clawlogd.clock import parse_rfc3339
from clawlogd.context import CallContext, Origin, Peer
from clawlogd.errors import StorageFailed
from clawlogd.logs import Log
from clawlogd.rpc.refusals import concerns_one_task, refusal_of
from clawlogd.rpc.routes import Route
from clawlogd.rpc.spool_folder import SpoolFolder, Stamp
from clawlogd.services import RuntimeInfo
from clawlogd.verbs.agents import EVENT, own_task_id

Commit = asyncio.Future[None]
"""Resolved when what was carried out is on disk; fails with ``StorageFailed`` where it never will be."""

Perform = Callable[[str, object, CallContext, Sequence[Commit]], Awaitable[Commit | None]]
"""Carries out one verb, behind those of the commits; raises ``RpcError`` where it is refused. None: it is on disk already."""

_TOGETHER = 256  # files that share a commit
_RETRY_S = 0.05  # how long a drain that was refused is not tried again
_RETRY_HELD_S = 1.0  # as long for tasks that are held, or
_RETRY_HELD_SHARE = 20.0  # this often as long as the last try took, where they are many
_DROPS_LOOK_S = 0.01  # how often callers have the drops looked at: the next call of a program is later than that
_PAST_MS = 60_000  # what says something of its own time alone says nothing any more when it is read so much later

_Stamps = tuple[Stamp | None, ...]


class _File(NamedTuple):
    """A file of calls."""

    name: str
    folder: SpoolFolder


@dataclass(slots=True)
class _Held:
    """What waits for its own task's sake.

    Attributes:
        files: The files that stay.
        tasks: Of which tasks they are, and why they stay.
    """

    files: set[_File] = field(default_factory=set)
    tasks: dict[str, RpcError] = field(default_factory=dict)

    def why(self, task_ids: set[str]) -> RpcError | None:
        """Why something of these tasks stays, if something of one of them does already."""
        return next((self.tasks[task_id] for task_id in task_ids if task_id in self.tasks), None)

    def add(self, file: _File, task_ids: set[str], why: RpcError) -> None:
        """Adds a file, and the tasks that it is about."""
        self.files.add(file)
        for task_id in task_ids:
            self.tasks.setdefault(task_id, why)


class Spool:
    """The spool folder, and the drops beside it; a ``Gate``.

    Args:
        folder: Where the spool's own files are.
        perform: Carries out a verb.
        known: Whether there is a task with this id.
        runtime: Where files that could not be used are counted.
        seen: Called with the tasks of calls from a sandbox, once they have been made.
    """

    def __init__(
        self,
        *,
        folder: Path,
        perform: Perform,
        known: Callable[[str], bool],
        runtime: RuntimeInfo,
        seen: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        self._own = SpoolFolder(str(folder))
        self._folders = [self._own]
        self._perform = perform
        self._known = known
        self._runtime = runtime
        self._from_sandbox = seen
        self._log = Log("spool")
        self._lock = asyncio.Lock()
        self._drops_looked_at = 0.0
        self._refusal: RpcError | None = None  # why nothing can be accepted now
        self._waiting: dict[_File, frozenset[str]] = {}  # files that could not be drained, each with the tasks that it is about
        self._waiting_at: _Stamps | None = None  # the folders' times and inodes when these were all
        self._refused: frozenset[str] = frozenset()  # the tasks of them all
        self._held = _Held()
        self._retry_at = 0.0
        self._retry_held_at = 0.0

    def set_drops(self, drops: Sequence[SpoolFolder]) -> None:
        """Has these folders drained, too; those that were there and are not among them any more are let go of."""
        for folder in self._folders[1:]:
            if folder not in drops:
                folder.close()
        self._folders = [self._own, *drops]

    # ── As a gate ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def closed(self) -> bool:
        """Whether there is something to drain, or to hold back."""
        return self._refusal is not None or bool(self._held.tasks) or self.has_new()

    def has_new(self) -> bool:
        """Whether a folder holds something that has not been tried yet."""
        if self._own.may_have_changed() and self._holds_new(self._own):
            return True
        if len(self._folders) > 1 and (now := time.monotonic()) - self._drops_looked_at >= _DROPS_LOOK_S:
            self._drops_looked_at = now
            return any(each.may_have_changed() and self._holds_new(each) for each in self._folders[1:])
        return False

    def _holds_new(self, folder: SpoolFolder) -> bool:
        stamp, settled = folder.look()
        if any(_File(name, folder) not in self._held.files for name in self._names(folder)):
            return True
        folder.note_drained(stamp, settled=settled)
        return False

    def concerns(self, route: Route, /) -> bool:
        """Whether a verb is about tasks, so that the spool may hold something of them."""
        return route.about_tasks

    async def open(self) -> None:
        """Drains what can be. Where that is not tried again yet, sees at least what has come meanwhile."""
        now = time.monotonic()
        if self._refusal is not None:
            if now >= self._retry_at:
                await self.drain()
            else:
                self._note_waiting()
        elif not self._held.tasks or self._lock.locked() or now >= self._retry_held_at or self.has_new():
            await self.drain()

    def refusal_of(self, route: Route, task_id: str | None, /) -> RpcError | None:
        """Why a task's command would overtake what the spool holds of the task; None when it would not."""
        if task_id is None:
            return None
        why = self._refusal if self._refusal is not None and task_id in self._refused else self._held.tasks.get(task_id)
        return why if route.repeatable or not self._known(task_id) else None

    def holds(self, task_id: str) -> bool:
        """Whether something of a task is known to wait here, because it cannot be accepted now."""
        return task_id in self._held.tasks or (self._refusal is not None and task_id in self._refused)

    def close(self) -> None:
        """Lets go of the folders."""
        for folder in self._folders:
            folder.close()

    # ── Draining ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> int:
        """Makes the calls of every file that is there. Returns of how many; stops early when nothing can be accepted now."""
        async with self._lock:
            self._own.make()
            began = time.monotonic()
            # Those that are held stay so, for all that come meanwhile, until each has been tried again.
            held = self._held if began < self._retry_held_at else _Held()
            drained = 0
            while True:
                looks = [(folder, *folder.look()) for folder in self._folders]
                files = [each for each in self._files() if each not in held.files]
                if not files:
                    self._refusal = None
                    self._waiting, self._waiting_at, self._refused = {}, None, frozenset()
                    for folder, stamp, settled in looks:
                        folder.note_drained(stamp, settled=settled)
                    break
                drained += await self._take(files[:_TOGETHER], held)
                if self._refusal is not None:
                    break
                await asyncio.sleep(0)  # files that cannot be used take no commit, and there may be many
            self._note_held(held, began)
            if drained:
                self._log.info("spool_drained", calls=drained)
            return drained

    async def _take(self, files: Sequence[_File], held: _Held) -> int:
        """Makes the calls of some files, with few commits. Returns of how many files; those that cannot be accepted stay."""
        made: list[tuple[_File, list[str], int]] = []  # files, why calls of them were refused, and how many commits they need
        commits: list[Commit] = []
        refusal: RpcError | None = None
        sandboxed: dict[_File, set[str]] = {}
        for file in files:
            try:
                calls = file.folder.read(file.name)
            except FileNotFoundError:
                continue
            except _UNREADABLE as error:
                made.append((file, [str(error)], len(commits)))
                continue
            task_ids = _task_ids(calls)
            refusals = held.why(task_ids) or await self._make(calls, commits)
            if not isinstance(refusals, RpcError):
                made.append((file, refusals, len(commits)))
                if calls.sandboxed:
                    sandboxed[file] = task_ids
            elif concerns_one_task(refusals):
                held.add(file, task_ids, refusals)
            else:
                refusal = refusals
                break
        durable = 0
        try:
            for commit in commits:
                await asyncio.shield(commit)
                durable += 1
        except StorageFailed as error:
            refusal = refusal_of("spool", error)
        done = [(file, refusals) for file, refusals, needed in made if needed <= durable]
        self._from_sandbox(set().union(*(sandboxed.get(file, set()) for file, _ in done)))
        for file, refusals in done:
            self._runtime.spool_set_aside += file.folder.finish(file.name, refusals)
        self._note_refusal(refusal)
        return sum(not refusals for _, refusals in done)

    async def _make(self, calls: SpooledCalls, commits: list[Commit]) -> list[str] | RpcError:
        """Makes the calls of one file. Returns why some were refused; or why nothing can be accepted now.

        Args:
            calls: The calls.
            commits: Those of what was made before; theirs are added, where they differ.
        """
        refusals: list[str] = []
        writer = Peer(Origin.SPOOL, pid_namespace=calls.pid_namespace)
        at_ms = parse_rfc3339(calls.at)
        for method, params in calls.requests:
            if method in PASSING and at_ms < time.time() * 1000 - _PAST_MS:
                continue
            try:
                commit = await self._perform(method, params, CallContext(at_ms, None, writer), commits)
            except RpcError as error:
                if error.code in NOT_NOW:
                    return error
                if method in DROPPABLE - SPOOLABLE:  # only true at its time, which is over
                    continue
                refusals.append(f"{method}: {error.message}")
            else:
                if commit is not None and commit not in commits[-1:]:
                    commits.append(commit)
        return refusals

    def _note_refusal(self, refusal: RpcError | None) -> None:
        if refusal is not None:
            if self._refusal is None:
                self._log.warning("spool_waits", error=refusal.message)
            self._retry_at = time.monotonic() + _RETRY_S
            self._note_waiting()
        self._refusal = refusal

    def _note_held(self, held: _Held, began: float) -> None:
        if held is not self._held:
            now = time.monotonic()
            self._retry_held_at = now + max(_RETRY_HELD_S, _RETRY_HELD_SHARE * (now - began)) if held.tasks else 0.0
            if held.tasks and not self._held.tasks:
                self._log.warning("spool_holds_tasks", tasks=len(held.tasks), error=next(iter(held.tasks.values())).message)
            self._held = held
        first = next(iter(held.tasks.values()), None)
        self._runtime.spool_held = None if first is None else f"{len(held.tasks)}; the first: {first.message}"

    def _note_waiting(self) -> None:
        """Learns which tasks wait behind the refusal; reads only files that were not there before."""
        looks = [folder.look() for folder in self._folders]
        stamps = tuple(stamp for stamp, _ in looks)
        if stamps == self._waiting_at:
            return
        self._waiting = {each: self._waiting.get(each) or _tasks(each) for each in self._files()}
        self._waiting_at = stamps if all(settled or stamp is None for stamp, settled in looks) else None
        self._refused = frozenset().union(*self._waiting.values())

    def _files(self) -> list[_File]:
        """The files of all folders, in the order in which they were written."""
        found = [_File(name, folder) for folder in self._folders for name in self._names(folder)]
        return sorted(found, key=attrgetter("name")) if len(self._folders) > 1 else found

    def _names(self, folder: SpoolFolder) -> list[str]:
        names = folder.names()
        self._runtime.spool_problem = next((each.problem for each in self._folders if each.problem is not None), None)
        return names


_UNREADABLE = (OSError, ValueError, OverflowError, RecursionError)


def _task_ids(calls: SpooledCalls) -> set[str]:
    return {_task_id(method, params) for method, params in calls.requests}


def _task_id(method: str, params: Mapping[str, Any]) -> str:
    """The task that a call is about; that of a coding agent's session follows from the session."""
    if method != EVENT.name:
        return str(params.get("task_id"))
    return own_task_id(str(params.get("agent")), str(params.get("session_id")))


def _tasks(file: _File) -> frozenset[str]:
    """The tasks that a file is about; none where it cannot be read, for then it is set aside."""
    try:
        return frozenset(_task_ids(file.folder.read(file.name)))
    except _UNREADABLE:
        return frozenset()

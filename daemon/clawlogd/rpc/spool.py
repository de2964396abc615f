"""Drains the spool: the calls that programs wrote down while no daemon could take them, in order, each made once.

What it holds of a task comes before anything newer of that task, by whichever way that comes: the dispatcher asks at each turn
of a caller whether the folder has changed, and has it drained first. While it cannot be drained, its tasks' commands are
refused with the same error, so that their callers write them down behind what is there. A call that is refused for its own
task's sake alone (a bound on tasks or backends) holds back its task, and no other.

A file is removed only when its events are in the outbox. One that is damaged, or whose call is refused, is moved to
``refused/``: a person can read it, and it holds up nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawlog.protocol.errors import NOT_NOW, RpcError
from clawlog.protocol.spool import SUFFIX, SpooledCalls, decode
from clawlogd.clock import parse_rfc3339
from clawlogd.context import CallContext, Origin, Peer
from clawlogd.errors import StorageFailed
from clawlogd.logs import Log
from clawlogd.outbox.store import fsync_folder
from clawlogd.rpc.refusals import concerns_one_task, refusal_of
from clawlogd.rpc.routes import Route
from clawlogd.services import RuntimeInfo
from clawlogd.verbs.agents import EVENT, own_task_id

Commit = asyncio.Future[None]
"""Resolved when what was carried out is on disk; fails with ``StorageFailed`` where it never will be."""

Perform = Callable[[str, object, CallContext, Sequence[Commit]], Awaitable[Commit | None]]
"""Carries out one verb, behind those of the commits; raises ``RpcError`` where it is refused. None: it is on disk already."""

_TOGETHER = 256  # files that share a commit
_MAX_FILE_BYTES = 1024 * 1024
_CLOCK_GRAIN_S = 0.02  # a folder's time is kept by the tick of some kernel's clock: two changes in one tick may have the same
_UNKNOWN = (-1, -1)
_RETRY_S = 0.05  # how long a drain that was refused is not tried again
_RETRY_HELD_S = 1.0  # as long for tasks that are held, or
_RETRY_HELD_SHARE = 20.0  # this often as long as the last try took, where they are many


@dataclass(slots=True)
class _Held:
    """What waits for its own task's sake.

    Attributes:
        files: Names of the files that stay.
        tasks: Of which tasks they are, and why they stay.
    """

    files: set[str] = field(default_factory=set)
    tasks: dict[str, RpcError] = field(default_factory=dict)

    def why(self, task_ids: set[str]) -> RpcError | None:
        """Why something of these tasks stays, if something of one of them does already."""
        return next((self.tasks[task_id] for task_id in task_ids if task_id in self.tasks), None)

    def add(self, name: str, task_ids: set[str], why: RpcError) -> None:
        """Adds a file, and the tasks that it is about."""
        self.files.add(name)
        for task_id in task_ids:
            self.tasks.setdefault(task_id, why)


class Spool:
    """The spool folder; a ``Gate``.

    Args:
        folder: Where the files are.
        perform: Carries out a verb.
        known: Whether there is a task with this id.
        runtime: Where files that could not be used are counted.
    """

    def __init__(
        self,
        *,
        folder: Path,
        perform: Perform,
        known: Callable[[str], bool],
        runtime: RuntimeInfo,
    ) -> None:
        self._folder = folder
        self._path = str(folder)
        self._perform = perform
        self._known = known
        self._runtime = runtime
        self._log = Log("spool")
        self._lock = asyncio.Lock()
        self._seen = _UNKNOWN  # the folder's time and inode when they were last looked at
        self._seen_since = 0.0  # since when they are these, monotonic
        self._drained_at = _UNKNOWN  # the same when nothing was in it
        self._descriptor: int | None = None  # of the folder with that inode
        self._refusal: RpcError | None = None  # why nothing can be accepted now
        self._waiting: dict[str, frozenset[str]] = {}  # files that could not be drained, each with the tasks that it is about
        self._waiting_at = _UNKNOWN  # the folder's time and inode when these were all
        self._refused: frozenset[str] = frozenset()  # the tasks of them all
        self._held = _Held()
        self._finished: set[str] = set()  # names of files that could not be removed
        self._retry_at = 0.0
        self._retry_held_at = 0.0

    # ── As a gate ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def closed(self) -> bool:
        """Whether there is something to drain, or to hold back."""
        return self._refusal is not None or bool(self._held.tasks) or self._has_new()

    def _has_new(self) -> bool:
        """Whether the folder holds something that has not been tried yet."""
        if self._descriptor is not None:
            found = os.fstat(self._descriptor)  # half as dear as by its path
            if found.st_mtime_ns == self._drained_at[0] and found.st_nlink:
                return False
        stamp, settled = self._look()
        if stamp is None or stamp == self._drained_at:
            return False
        if any(path.name not in self._held.files for path in self._files()):
            return True
        self._note_drained(stamp if settled else _UNKNOWN)
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
        elif not self._held.tasks or self._lock.locked() or now >= self._retry_held_at or self._has_new():
            await self.drain()

    def refusal_of(self, route: Route, task_id: str | None, /) -> RpcError | None:
        """Why a task's command would overtake what the spool holds of the task; None when it would not."""
        if task_id is None:
            return None
        why = self._refusal if self._refusal is not None and task_id in self._refused else self._held.tasks.get(task_id)
        return why if route.repeatable or not self._known(task_id) else None

    def close(self) -> None:
        """Lets go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, inode: int) -> None:
        with contextlib.suppress(OSError):
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if os.fstat(self._descriptor).st_ino != inode:
                self.close()

    # ── Draining ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> int:
        """Makes the calls of every file that is there. Returns of how many; stops early when nothing can be accepted now."""
        async with self._lock:
            with contextlib.suppress(OSError):  # that there is one makes it quick to see that nothing is in it
                self._folder.mkdir(mode=0o700, exist_ok=True)
            began = time.monotonic()
            # Those that are held stay so, for all that come meanwhile, until each has been tried again.
            held = self._held if began < self._retry_held_at else _Held()
            drained = 0
            while True:
                stamp, settled = self._look()
                paths = [path for path in self._files() if path.name not in held.files]
                if not paths:
                    self._refusal = None
                    self._note_drained(stamp if stamp is not None and settled else _UNKNOWN)
                    break
                drained += await self._take(paths[:_TOGETHER], held)
                if self._refusal is not None:
                    break
            self._note_held(held, began)
            if drained:
                self._log.info("spool_drained", calls=drained)
            return drained

    async def _take(self, paths: Sequence[Path], held: _Held) -> int:
        """Makes the calls of some files, with few commits. Returns of how many files; those that cannot be accepted stay."""
        made: list[tuple[Path, list[str], int]] = []  # files, why calls of them were refused, and how many commits they need
        commits: list[Commit] = []
        refusal: RpcError | None = None
        for path in paths:
            try:
                calls = _read(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, OverflowError, RecursionError) as error:
                made.append((path, [str(error)], len(commits)))
                continue
            task_ids = _task_ids(calls)
            refusals = held.why(task_ids) or await self._make(calls, commits)
            if not isinstance(refusals, RpcError):
                made.append((path, refusals, len(commits)))
            elif concerns_one_task(refusals):
                held.add(path.name, task_ids, refusals)
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
        done = [(path, refusals) for path, refusals, needed in made if needed <= durable]
        for path, refusals in done:
            self._finish(path, refusals)
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
        for method, params in calls.requests:
            try:
                commit = await self._perform(method, params, CallContext(parse_rfc3339(calls.at), None, writer), commits)
            except RpcError as error:
                if error.code in NOT_NOW:
                    return error
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
        stamp, settled = self._look()
        if stamp == self._waiting_at != _UNKNOWN:
            return
        self._waiting = {path.name: self._waiting.get(path.name) or _tasks(path) for path in self._files()}
        self._waiting_at = stamp if stamp is not None and settled else _UNKNOWN
        self._refused = frozenset().union(*self._waiting.values())

    # ── The folder ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> tuple[tuple[int, int] | None, bool]:
        """The folder's time and inode, and whether they prove that it is not changed any more after what is listed next.

        They do once they have been seen for longer than a tick, by a clock that nobody steps: the folder's own may be another
        machine's, or have been put back since.
        """
        try:
            found = os.lstat(self._path)
        except OSError:
            return None, False
        stamp, now = (found.st_mtime_ns, found.st_ino), time.monotonic()
        if stamp != self._seen:
            self._seen, self._seen_since = stamp, now
        return stamp, now - self._seen_since > _CLOCK_GRAIN_S

    def _note_drained(self, stamp: tuple[int, int]) -> None:
        """Notes that nothing is in the folder beside what is held, and by which time and inode that is seen to be so."""
        self._waiting, self._waiting_at, self._refused = {}, _UNKNOWN, frozenset()
        before, self._drained_at = self._drained_at, stamp
        if before[1] != self._drained_at[1]:
            self.close()
            if self._drained_at is not _UNKNOWN:
                self._open(self._drained_at[1])

    def _files(self) -> list[Path]:
        self._runtime.spool_problem = None
        try:
            found = self._folder.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(0, "it is a link or no folder")
            if found.st_uid not in {os.geteuid(), 0}:
                raise PermissionError(0, f"it belongs to user {found.st_uid}")
            with os.scandir(self._folder) as entries:
                names = sorted(each.name for each in entries if each.name.endswith(SUFFIX))
                return [self._folder / name for name in names if name not in self._finished]
        except FileNotFoundError:
            return []
        except OSError as error:
            self._runtime.spool_problem = f"{self._folder}: {error.strerror}"
            self._log.warning_seldom("spool_unreadable", error=self._runtime.spool_problem)
            return []

    def _finish(self, path: Path, refusals: Sequence[str]) -> None:
        """Removes a file whose calls have been made, or sets it aside."""
        try:
            if refusals:
                self._set_aside(path, "\n".join(refusals))
            else:
                path.unlink(missing_ok=True)
            fsync_folder(self._folder)
        except OSError as error:
            self._finished.add(path.name)  # it must not be made again at each turn
            self._log.warning("spool_file_stays", file=path.name, error=str(error))

    def _set_aside(self, path: Path, why: str) -> None:
        refused = self._folder / "refused"
        try:
            refused.mkdir(mode=0o700, exist_ok=True)
            path.rename(refused / path.name)
            (refused / f"{path.name}.why").write_text(why + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:  # it stays where it is, and holds up none of the others
            self._log.warning("spool_file_not_set_aside", file=path.name, error=str(error))
        self._runtime.spool_set_aside += 1
        self._log.warning("spool_file_set_aside", file=path.name, why=why)


def _task_ids(calls: SpooledCalls) -> set[str]:
    return {_task_id(method, params) for method, params in calls.requests}


def _task_id(method: str, params: Mapping[str, Any]) -> str:
    """The task that a call is about; that of a coding agent's session follows from the session."""
    if method != EVENT.name:
        return str(params.get("task_id"))
    return own_task_id(str(params.get("agent")), str(params.get("session_id")))


def _tasks(path: Path) -> frozenset[str]:
    """The tasks that a file is about; none where it cannot be read, for then it is set aside."""
    try:
        return frozenset(_task_ids(_read(path)))
    except (OSError, ValueError, OverflowError, RecursionError):
        return frozenset()


def _read(path: Path) -> SpooledCalls:
    """Reads a file that a program of this user has written whole.

    Raises:
        OSError: It cannot be read, or is no file of this user's.
        ValueError: It is damaged, or holds more than a program's call.
    """
    # Not blocking: a pipe in a file's place would wait for ever for somebody to write.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {os.geteuid(), 0}:
            raise ValueError("not a file of this user's")
        if found.st_size > _MAX_FILE_BYTES:
            raise ValueError(f"{found.st_size} bytes; a call has at most {_MAX_FILE_BYTES}")
        calls = decode(file.read())
    parse_rfc3339(calls.at)
    return calls

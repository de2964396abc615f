"""The files in which hooks of coding agents leave a sign at each tool: the quickest way to say that an agent is at work.

A hook only appends a line, and only where the file is. So a file is there while its session's task goes on in this run of the
daemon; without one the hook speaks to the daemon itself. Nothing here believes what it finds: links are not followed, and only
regular files of this user's are read, up to a bound.

The files are read in a thread of their own. All that is done in the event loop is to make one or to remove one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawlog.protocol.agents import AGENTS, MAX_SIGNS_BYTES, SIGN_WORDS, session_file
from clawlogd.instance import private_folder
from clawlogd.logs import Log
from clawlogd.model import Session, Task
from clawlogd.tasks.registry import ObserverOrder, Registry

_log = Log("signs")

_RENEWED_BYTES = MAX_SIGNS_BYTES // 4  # a file as long as this gives way to an empty one
_LAST_BYTES = 4096  # what is read of what is new: the last lines say all
_MAX_TOOL_CHARS = 200
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Sign:
    """The newest sign that a session has left.

    Attributes:
        agent: The agent's name.
        file: The name of the session's file.
        at_ms: When it was left, in milliseconds since 1970.
        ended: Whether the tool has ended; else it begins.
        tool: The tool, as the hook wrote it.
        failed: Whether it failed, as far as the hook can tell.
    """

    agent: str
    file: str
    at_ms: int
    ended: bool
    tool: str
    failed: bool


class Signs:
    """The folder of these files.

    Args:
        registry: The tasks.
        folder: Where it is.
    """

    def __init__(self, *, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._agents_folders = tuple(folder / agent for agent in AGENTS)  # looked for once a second
        self._read_to: dict[str, tuple[int, int]] = {}  # by path: the file's inode, and how far it has been read
        self._left: list[tuple[int, str, str, int]] = []  # replaced files: descriptor, agent, name, and how far they were read
        self._tasks: dict[tuple[str, str], str] = {}
        registry.observe(ObserverOrder.SESSIONS, self._task_changed)

    def resume(self) -> None:
        """Begins with empty folders: what was left while no daemon ran says nothing about now.

        Raises:
            InstanceError: The folder is none, a link or somebody else's.
        """
        private_folder(self._folder)
        for path in self._folder.glob("*/*"):
            try:
                path.unlink()
            except OSError as error:  # a folder, which nobody here has made
                _log.warning("signs_stay", path=str(path), error=str(error))
        self.restore_folders()
        for task in self._registry:
            if task.session is not None and task.live:
                self._tasks[_key(task.session)] = task.task_id

    def restore_folders(self) -> None:
        """Makes the folders that are not there. Files are made when their sessions are heard of."""
        if not self._folder.parents[1].is_dir():  # a state folder that is gone is not made here
            return
        for path in self._agents_folders:
            if not path.is_dir():
                _make_folder(path)

    def listen(self, task: Task) -> None:
        """Makes the file of a session that was heard of, so that its hook need not speak to the daemon at each tool."""
        session = task.session
        if session is None or not task.live:
            return
        self._tasks[_key(session)] = task.task_id
        path = self._path(session)
        try:
            try:
                os.close(os.open(path, _NEW_FLAGS, 0o600))
            except FileNotFoundError:
                _make_folder(path.parent)
                os.close(os.open(path, _NEW_FLAGS, 0o600))
        except OSError as error:
            _log.warning_seldom("signs_failed", error=str(error))

    def task_of(self, sign: Sign) -> Task | None:
        """The task of the session that left a sign."""
        task_id = self._tasks.get((sign.agent, sign.file))
        return None if task_id is None else self._registry.find(task_id)

    @property
    def awaited(self) -> bool:
        """Whether any session goes on."""
        return bool(self._tasks)

    # ── In a thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self) -> list[Sign]:
        """What is new, the newest sign of each session. Files of sessions that are not known are removed."""
        signs: list[Sign] = []
        left, self._left = self._left, []
        for descriptor, agent, name, begin in left:  # what was written while a file gave way
            if (sign := _newest(descriptor, agent, name, begin)[0]) is not None:
                signs.append(sign)
            os.close(descriptor)
        seen: set[str] = set()
        for agent, entry in self._entries():
            seen.add(entry.path)
            if (agent, entry.name) not in self._tasks:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()
            elif (sign := self._read(agent, entry)) is not None:
                signs.append(sign)
        self._read_to = {path: read for path, read in self._read_to.items() if path in seen}
        return signs

    def _entries(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        for folder in _listed(self._folder):
            if folder.is_dir(follow_symlinks=False):
                for entry in _listed(Path(folder.path)):
                    if not entry.name.startswith("."):
                        yield folder.name, entry

    def _read(self, agent: str, entry: os.DirEntry[str]) -> Sign | None:
        try:
            found = entry.stat(follow_symlinks=False)
            inode, begin = self._read_to.get(entry.path, (found.st_ino, 0))
            begin = begin if inode == found.st_ino and begin <= found.st_size else 0
            if found.st_size == begin or not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                return None
            descriptor = os.open(entry.path, _FLAGS)
        except OSError:
            return None
        sign, end = _newest(descriptor, agent, entry.name, begin)
        self._read_to[entry.path] = (found.st_ino, end)
        if end >= _RENEWED_BYTES and self._renew(entry.path):
            self._left.append((descriptor, agent, entry.name, end))
        else:
            os.close(descriptor)
        return sign

    def _renew(self, path: str) -> bool:
        """Puts an empty file in a file's place: who has the old one open still writes there, and no line is lost."""
        folder, name = os.path.split(path)
        draft = f"{folder}/.{name}"  # no session's file begins with a dot
        try:
            os.close(os.open(draft, _NEW_FLAGS | os.O_TRUNC, 0o600))
            Path(draft).replace(path)
        except OSError as error:
            _log.warning_seldom("signs_failed", error=str(error))
            return False
        self._read_to.pop(path, None)
        return True

    # ── In the loop ────────────────────────────────────────────────────────────────────────────────────────────────

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        session = (before.session if before is not None else None) or (after.session if after is not None else None)
        if session is None:
            return
        if (after is None or not after.live) and before is not None and before.live:
            self._tasks.pop(_key(session), None)
            with contextlib.suppress(OSError):  # whatever comes of this session now is said to the daemon itself
                self._path(session).unlink()

    def _path(self, session: Session) -> Path:
        return self._folder.joinpath(*_key(session))


def _key(session: Session) -> tuple[str, str]:
    return session.agent, session_file(session.session_id)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _log.warning_seldom("signs_failed", error=str(error))


def _newest(descriptor: int, agent: str, name: str, begin: int) -> tuple[Sign | None, int]:
    """The last whole line behind a place in a file, and where it ends."""
    found = os.fstat(descriptor)
    begin = max(begin, found.st_size - _LAST_BYTES)
    text = os.pread(descriptor, _LAST_BYTES, begin)
    whole = text.rpartition(b"\n")[0]
    end = begin + len(whole) + 1 if whole else begin
    for line in reversed(whole.split(b"\n")):
        words = line.decode("utf-8", "replace").split()
        if len(words) >= 2 and words[0] in SIGN_WORDS:
            tool, failed = " ".join(words[1:]), words[0] == "after" and words[-1] == "failed" and len(words) > 2
            tool = tool.removesuffix(" failed") if failed else tool
            at_ms = found.st_mtime_ns // 1_000_000
            return Sign(agent, name, at_ms, words[0] == "after", tool[:_MAX_TOOL_CHARS], failed), end
    return None, end

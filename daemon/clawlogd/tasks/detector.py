"""What is known of a new task without anybody having said it: its host, user, project and branch.

Files are read in threads of their own, for a bounded time: a folder may lie on a disk that does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import queue
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clawlog.protocol import vocabulary
from clawlogd.context import Origin, Peer
from clawlogd.logs import Log
from clawlogd.tasks.checkout import find_checkout
from clawlogd.text import clean_text

_log = Log("metadata")

_READ_S = 0.05
_THREADS = 2
_MAX_READS = 256  # at a time; beyond, and while all threads wait for a disk, tasks do without


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found out, fit for pairs; None for what is not known.

    Attributes:
        project: The name of the repository's folder.
        host: The machine's name.
        branch: The branch.
        user: The caller's name.
    """

    project: str | None = None
    host: str | None = None
    branch: str | None = None
    user: str | None = None


_Key = tuple[str | None, Peer]


class MetadataDetector:
    """Finds out about callers and their folders."""

    def __init__(self) -> None:
        self._host = _fit(os.uname().nodename)
        self._names = {os.geteuid(): _user_name(os.geteuid())}
        self._pids = _pid_namespace("self")
        self._reading: dict[_Key, asyncio.Future[Found]] = {}
        self._jobs: queue.SimpleQueue[tuple[_Key, asyncio.AbstractEventLoop] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def without_reading(self, folder: str | None, peer: Peer) -> Found | None:
        """What is known already; None where something has to be read for it."""
        if peer.origin is Origin.NETWORK:  # perhaps of another machine, of which nothing here is true
            return Found()
        if folder is not None or (peer.uid is not None and peer.uid not in self._names):
            return None
        return self._of(peer)

    async def read(self, folder: str | None, peer: Peer) -> Found:
        """Finds out by files, for a twentieth of a second at most: what takes longer is left out.

        Args:
            folder: The caller's working folder, an absolute path.
            peer: The caller.
        """
        key = (folder, peer)
        reading = self._reading.get(key)
        if reading is None:
            if len(self._reading) >= _MAX_READS:
                return self._of(peer)
            reading = self._reading[key] = asyncio.get_running_loop().create_future()
            self._start(key)
        await asyncio.wait([reading], timeout=_READ_S)
        return reading.result() if reading.done() else self._of(peer)

    def close(self) -> None:
        """Ends the threads; one that waits for a disk ends with the process."""
        for _ in self._threads:
            self._jobs.put(None)

    def _of(self, peer: Peer) -> Found:
        uid = os.geteuid() if peer.uid is None else peer.uid
        return Found(host=self._host, user=self._names.get(uid))

    def _start(self, key: _Key) -> None:
        if len(self._threads) < _THREADS:
            # Daemonic, unlike those of an executor: the interpreter must not wait for a disk at its end.
            thread = threading.Thread(target=self._work, name="metadata", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put((key, asyncio.get_running_loop()))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            key, loop = job
            try:
                found, name = self._look(*key)
            except Exception as error:  # noqa: BLE001 - of one task; the thread is there for the others
                _log.warning_seldom("folder_unread", error=repr(error))
                found, name = self._of(Peer()), None
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._note, key, found, name)

    def _note(self, key: _Key, found: Found, name: str | None) -> None:
        uid = key[1].uid
        if uid is not None:
            self._names.setdefault(uid, name)
        reading = self._reading.pop(key)
        if not reading.done():
            reading.set_result(found)

    def _look(self, folder: str | None, peer: Peer) -> tuple[Found, str | None]:
        """Reads what is to be read: in a thread."""
        uid = os.geteuid() if peer.uid is None else peer.uid
        name = _user_name(uid)
        checkout = find_checkout(folder) if folder is not None and self._sees_the_same_files(peer) else None
        if checkout is None:
            return Found(host=self._host, user=name), name
        return Found(_fit(checkout.project), self._host, _fit(checkout.branch), name), name

    def _sees_the_same_files(self, peer: Peer) -> bool:
        """Whether a caller's paths mean the same here: not those of one in a container."""
        if peer.origin is not Origin.THIS_KERNEL:
            return peer.pid_namespace in {None, self._pids}
        # Not by its mounts: a service has some of its own. A service in a user namespace is told nothing even of its user's.
        theirs = _pid_namespace(str(peer.pid)) if peer.pid else 0
        return theirs == self._pids or (theirs is None and peer.uid in {None, os.geteuid()})


def complete(given: Mapping[str, str], found: Found, *, folder: str | None, tells_private: bool) -> dict[str, str]:
    """A new task's metadata: the caller's pairs, then what was found out, as long as there is room.

    Args:
        given: The caller's pairs.
        found: What was found out.
        folder: The caller's working folder. A caller that names it gives ``command`` unasked, too.
        tells_private: Whether the backend may learn user, folder and command.
    """
    pairs = dict(given)
    if folder is not None and not tells_private:
        pairs.pop("command", None)
    private = {"cwd": _fit(folder), "user": found.user} if tells_private else {}
    for key, value in {"project": found.project, "host": found.host, "branch": found.branch, **private}.items():
        if value is not None and len(pairs) < vocabulary.MAX_METADATA_PAIRS:
            pairs.setdefault(key, value)
    return pairs


def _fit(text: str | None) -> str | None:
    """A text as the value of a pair; None where nothing is left of it, or too much."""
    line = clean_text(text, vocabulary.MAX_METADATA_CHARS + 1) if text else ""
    return line if 0 < len(line) <= vocabulary.MAX_METADATA_CHARS else None


def _user_name(uid: int) -> str | None:
    try:
        return _fit(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return None


def _pid_namespace(process: str) -> int | None:
    """The number of the namespace that a process's number is of; None where that is not told."""
    try:
        return Path("/proc", process, "ns", "pid").stat().st_ino
    except OSError:
        return None

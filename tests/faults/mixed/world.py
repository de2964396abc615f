"""A daemon, two backends as processes of their own, a link to each that can be cut, a disk that can be filled, and a clock."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from clawlog_backend.main import EXIT_FAILED
from faults.oracle import Change
from faults.proxy import CuttingProxy
from faults.registry import faketime_library, program, root
from faults.rig import Rig
from faults.small_disk import fill, small_disk
from support.backend_process import BackendProcess
from support.postgres_cluster import PostgresCluster
from support.spooling import FullDisk

_DISK = "96m"
_HISTORY = "SELECT task_id, kind, detail FROM events JOIN tasks ON tasks.n = events.task_n ORDER BY seq"


class MixedBackend:
    """An embedded backend, and the link over which the daemon reaches it.

    Args:
        name: What its tasks' marks end with.
        folder: Where its files go.
        plain_only: Whether it lacks the batch routes.
        cluster: Where its database is; None for a file of its own.
    """

    def __init__(self, name: str, folder: Path, *, plain_only: bool, cluster: PostgresCluster | None) -> None:
        folder.mkdir()
        self.name = name
        self._cluster = cluster
        if cluster is not None:
            cluster.execute(f"CREATE DATABASE {name}")
        self.process = BackendProcess(folder, plain_only=plain_only, database=cluster and cluster.url(name))
        self.process.spawn()

    def connect(self) -> None:
        """Waits until it answers, and makes the link."""
        self.process.wait()
        self.link = CuttingProxy(self.process.port)

    @property
    def base_url(self) -> str:
        """The address of the link."""
        return f"http://127.0.0.1:{self.link.port}"

    def supervise(self) -> None:
        """Starts it again where it could not start for want of its database, as a service manager does.

        Raises:
            AssertionError: It ended for no such reason, or after it had started.
        """
        status = self.process.exit_status
        if status is None:
            return
        may_be = self._cluster is not None and status == EXIT_FAILED and not self.process.had_started
        assert may_be, f"the backend {self.name} ended by itself, with {status}"
        self.process.spawn()

    def is_back(self) -> bool:
        """Whether it answers; where it could not start, it is started again."""
        self.supervise()
        return self.process.answers()

    def history(self) -> Iterator[Change]:
        """What it applied. It must not be running."""
        if self._cluster is not None:
            return history_of(self._cluster.execute(_HISTORY, self.name), self.name)
        return history_of(rows_of(self.process.database_path), self.name)


def rows_of(database: Path) -> list[tuple[str, str, str]]:
    """The events in an SQLite file: the task, the kind and the details of each, in order."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(_HISTORY).fetchall()


def history_of(rows: Iterable[Sequence[str]], place: str) -> Iterator[Change]:
    """What a backend applied, in order, with its marks as ``event_id``; what was meant for another one is made unlike any."""
    for task_id, kind, text in rows:
        detail: dict[str, str] = json.loads(text)
        mark = detail.get("summary")
        name = mark if mark is not None and mark.endswith(place) else f"astray at {place}: {mark}"
        yield Change(name, task_id, kind, detail.get("step_id"), detail.get("status"), mark)


class World:
    """All of it; a context manager.

    Args:
        rig: Where it lives.
        over_postgresql: Whether both backends have their databases at one server, and not in files of their own.

    Attributes:
        cluster: That server, if there is one.
        backends: One with the batch profile, one with the plain profile alone.
        filler: The file that fills the daemon's disk; None where no disk can be mounted.
        clock_offset: The file that moves the daemon's and the scripts' clock; None where that cannot be done.
        starts: How often the daemon was started.
        refused_starts: How often it could not start for want of room.
    """

    def __init__(self, rig: Rig, *, over_postgresql: bool = False) -> None:
        self._rig = rig
        self.cluster = PostgresCluster() if over_postgresql else None
        self._stack = contextlib.ExitStack()
        self.backends: tuple[MixedBackend, ...] = ()
        self.filler: Path | None = None
        self.clock_offset: Path | None = None
        self.starts = 0
        self.refused_starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._short_of_room = False

    def __enter__(self) -> Self:
        folder = self._rig.folder
        with self._stack:
            if self.cluster is not None:
                self._stack.callback(self.cluster.remove)
                self.cluster.start()
            for name, plain_only in (("batch", False), ("plain", True)):
                backend = MixedBackend(name, folder / name, plain_only=plain_only, cluster=self.cluster)
                self._stack.callback(backend.process.kill)
                self.backends = (*self.backends, backend)
            for backend in self.backends:
                backend.connect()
                self._stack.callback(backend.link.close)
            state_dir = folder / "m" / "state"
            if root() is None and program("mount")() is None:
                self._stack.enter_context(small_disk(folder / "m", _DISK))
                self.filler = folder / "m" / "filler"
            else:
                (folder / "m").mkdir()
            if (library := faketime_library()) is not None:
                self.clock_offset = folder / "offset"
                self.set_clock("+0")
            self._faked = _faked_clock(library, self.clock_offset)
            self.endpoint = f"ipc://{folder}/z"
            self._rig.daemon = self._rig.make_daemon(
                state_dir=state_dir, ballast_bytes=128 * 1024, env={"CLAWLOG_ZMQ": self.endpoint}
            )
            self._stack.callback(self._rig.daemon.kill)  # before its disk goes
            self.start_daemon()
            self._rig.until(self._rig.daemon.serves, "the daemon serves")
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def env(self) -> dict[str, str]:
        """What a script sees of it."""
        daemon = self._rig.daemon
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._rig.folder),
            "CLAWLOG_STATE_DIR": str(daemon.state_dir),
            "CLAWLOG_SOCKET": str(daemon.socket_path),
            "CLAWLOG_AUTOSTART": "0",
            **self._faked,
        }

    # ── The daemon ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def daemon_process(self) -> subprocess.Popen[bytes] | None:
        """The daemon's process; None while it is meant to be down."""
        return self._process

    def start_daemon(self) -> None:
        """Starts the daemon, without waiting until it serves."""
        self._short_of_room = self.disk_is_full
        self._process = self._rig.daemon.spawn(env=self._faked)
        self.starts += 1

    def kill_daemon(self) -> None:
        """Ends it as a crash does."""
        self._rig.daemon.kill()
        self._process = None

    def supervise(self) -> None:
        """Starts what could not start, as a service manager does: the daemon for want of room, a backend for its database.

        Raises:
            AssertionError: It ended for no such reason, or after it had started.
        """
        for backend in self.backends:
            backend.supervise()
        if self._process is None or self._process.poll() is None:
            return
        status, pid = self._process.returncode, self._process.pid
        short, self._short_of_room = self._short_of_room or self.disk_is_full, self.disk_is_full
        assert short, f"the daemon ended by itself, with {status}:\n{self._rig.daemon.log_tail()}"
        ready = f'"pid": {pid}}}' in self._rig.daemon.log_path.read_text("utf-8", "replace")
        assert not ready, f"the daemon had started, and ended with {status}:\n{self._rig.daemon.log_tail()}"
        self.refused_starts += 1
        self.start_daemon()

    def limit_files(self) -> Callable[[], None]:
        """Lets none of the daemon's files grow. Returns what ends that."""
        process = self._process
        if process is None or process.poll() is not None:
            return lambda: None
        disk = FullDisk(process.pid)
        disk.fill()
        self._short_of_room = True

        def end() -> None:
            if process.poll() is None:
                disk.make_room()

        return end

    # ── What it stands on ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def disk_is_full(self) -> bool:
        """Whether its disk is filled now."""
        return self.filler is not None and self.filler.exists()

    def fill_disk(self) -> Callable[[], None]:
        """Fills its disk. Returns what ends that."""
        assert self.filler is not None
        fill(self.filler)
        self._short_of_room = True
        return self.filler.unlink

    def set_clock(self, offset: str) -> None:
        """Sets by how much the clock is ahead, as libfaketime understands it."""
        assert self.clock_offset is not None
        draft = self.clock_offset.with_suffix(".draft")
        draft.write_text(offset)
        draft.replace(self.clock_offset)  # never seen half written


def _faked_clock(library: Path | None, offset: Path | None) -> dict[str, str]:
    if library is None:
        return {}
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # waits of the interpreter's own would be mistaken
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

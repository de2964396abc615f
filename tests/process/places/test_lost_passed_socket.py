"""A socket that the service manager passed on, and that lost its path: the manager does not notice, so the daemon does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from support.callers import UnixCaller, call
from support.daemon_process import DaemonProcess
from support.running_daemon import until

NOTICED_S = 5.0

PASS_ON = """
import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What a service manager does between fork and exec."""


class Manager:
    """A service manager that bound a socket long ago, and keeps it.

    Attributes:
        path: Where it bound it.
    """

    def __init__(self, folder: Path, new_process: Callable[..., DaemonProcess]) -> None:
        self._new_process = new_process
        folder.mkdir(mode=0o700)
        self.path = folder / "d.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.path.chmod(0o640)
        self.socket.listen()
        os.set_inheritable(self.socket.fileno(), True)

    async def start(self) -> DaemonProcess:
        """Starts a daemon, and passes the socket on."""
        process = self._new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
        descriptor = self.socket.fileno()
        command = [sys.executable, "-c", PASS_ON, str(descriptor), *process.command]
        return await process.start(command=command, pass_fds=[descriptor])


@pytest.fixture
def manager(folder: Path, new_process: Callable[..., DaemonProcess]) -> Iterator[Manager]:
    manager = Manager(folder / "passed", new_process)
    yield manager
    manager.socket.close()


def pid_at(path: Path) -> Callable[[], Awaitable[int | None]]:
    async def ask() -> int | None:
        try:
            caller = await UnixCaller.connect(path)
        except OSError:
            return None
        try:
            return int((await call(caller, "daemon.status"))["pid"])
        finally:
            await caller.close()

    return ask


@pytest.mark.parametrize("lost", ["the folder", "the socket"])
async def test_it_is_bound_anew_for_those_who_may_connect_there_and_removed_at_the_end(manager: Manager, lost: str) -> None:
    process = await manager.start()
    connected = await UnixCaller.connect(manager.path)
    if lost == "the folder":
        shutil.rmtree(manager.path.parent)
    else:
        manager.path.unlink()
    await until(pid_at(manager.path), NOTICED_S)
    assert manager.path.lstat().st_mode & 0o777 == 0o640
    assert "systemctl restart clawlogd.socket" in process.log
    assert (await call(connected, "daemon.status"))["healthy"] is True
    await connected.close()
    assert await process.stop() == 0
    assert not manager.path.exists()


@pytest.mark.parametrize("left", ["nothing", "a socket of one that was killed"])
async def test_one_that_was_lost_before_the_daemon_began_is_bound_anew(manager: Manager, left: str) -> None:
    manager.path.unlink()
    if left != "nothing":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(manager.path))
    process = await manager.start()
    await until(pid_at(manager.path), NOTICED_S)
    assert await process.stop() == 0


async def test_where_it_cannot_be_bound_anew_the_status_says_so_and_what_to_do(manager: Manager) -> None:
    process = await manager.start()
    connected = await UnixCaller.connect(manager.path)
    manager.path.unlink()
    manager.path.parent.chmod(0o777)  # others could put a socket of theirs there

    async def said() -> bool:
        problems = (await call(connected, "daemon.status"))["problems"]
        return any("others may write there" in each and "systemctl restart clawlogd.socket" in each for each in problems)

    await until(said, NOTICED_S)
    assert not manager.path.exists()
    manager.path.parent.chmod(0o700)
    await until(pid_at(manager.path), NOTICED_S)
    status = json.dumps((await call(connected, "daemon.status"))["problems"])
    assert "is lost" not in status
    await connected.close()
    assert await process.stop() == 0

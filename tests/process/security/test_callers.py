"""Who may call: the kernel identifies each caller, and only the daemon's own user, root and an allowed group are answered."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon_process import DaemonProcess, run_to_end

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

CALL = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\\n')
    print(s.makefile().readline())
except OSError as error:
    print(type(error).__name__)
"""


async def call_as(user: str, path: Path) -> str:
    """What a program of another user gets from the daemon: its reply, nothing, or an error's name."""
    who = pwd.getpwnam(user)
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", "-c", CALL, str(path), stdout=asyncio.subprocess.PIPE, user=who.pw_uid, group=who.pw_gid, cwd="/"
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return out.decode().strip()


def open_up(process: DaemonProcess) -> None:
    """Takes the file system's own protection away, so that only the daemon's remains."""
    for folder in (process.folder, process.socket_path.parent):
        folder.chmod(0o755)
    process.socket_path.chmod(0o666)


async def test_the_file_system_keeps_another_user_out(process: DaemonProcess) -> None:
    assert await call_as("nobody", process.socket_path) == "PermissionError"


async def test_another_user_who_reaches_the_socket_is_not_answered(process: DaemonProcess) -> None:
    open_up(process)
    assert await call_as("nobody", process.socket_path) in {"", "ConnectionResetError", "BrokenPipeError"}
    assert f"peer_refused uid={pwd.getpwnam('nobody').pw_uid}" in process.log
    assert json.loads(await call_as("root", process.socket_path))["result"]["pid"] == process.process.pid


async def test_a_member_of_the_allowed_group_is_answered_and_nobody_else(new_process: Callable[..., DaemonProcess]) -> None:
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    process = new_process(CLAWLOG_LISTEN_GROUP=group)
    process.socket_path.parent.mkdir()
    process.socket_path.parent.chmod(0o755)
    process.folder.chmod(0o755)
    await process.start()
    found = process.socket_path.lstat()
    assert (oct(found.st_mode & 0o777), grp.getgrgid(found.st_gid).gr_name) == ("0o660", group)
    assert json.loads(await call_as("nobody", process.socket_path))["result"]["pid"] == process.process.pid
    assert await call_as("daemon", process.socket_path) == "PermissionError"
    open_up(process)
    assert await call_as("daemon", process.socket_path) in {"", "ConnectionResetError", "BrokenPipeError"}


async def test_a_group_that_is_not_there_is_refused(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process(CLAWLOG_LISTEN_GROUP="no-such-group")
    status, _, err = await run_to_end(process.folder, env=process.env)
    assert (status, err) == (
        2,
        "clawlogd: listen.group: there is no group 'no-such-group' here; make it, or leave the setting out\n",
    )


@pytest.mark.parametrize(
    ("owner", "mode", "message"),
    [
        ("nobody", 0o755, "belongs to user"),
        ("root", 0o777, "others may write there"),
        ("root", 0o775, "others may write there"),
    ],
)
async def test_a_folder_in_which_others_could_replace_the_socket_is_refused(
    new_process: Callable[..., DaemonProcess], owner: str, mode: int, message: str
) -> None:
    process = new_process()
    place = process.socket_path.parent
    place.mkdir()
    os.chown(place, pwd.getpwnam(owner).pw_uid, -1)
    place.chmod(mode)
    status, _, err = await run_to_end(process.folder, env=process.env)
    assert status == 69
    assert err.startswith(f"clawlogd: {place}")
    assert message in err
    assert not process.socket_path.exists()


async def test_a_folder_like_tmp_will_do(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process()
    process.socket_path.parent.mkdir()
    process.socket_path.parent.chmod(0o1777)
    await process.start()
    assert (await process.call("daemon.status"))["pid"] == process.process.pid


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("kind", ["unix", "zmq"])
async def test_a_socket_is_private_from_birth_not_from_a_moment_later(
    new_process: Callable[..., DaemonProcess], folder: Path, kind: str
) -> None:
    """Were there a chmod after the bind, it would be held up for so long that what the socket was born with is seen."""
    process = new_process()
    zmq_path = folder / "run" / "d.zmq"
    path = process.socket_path if kind == "unix" else zmq_path
    hold_up = "--inject=chmod,fchmodat:delay_enter=400000"  # microseconds
    strace = [
        "strace",
        "--follow-forks",
        "--quiet=all",
        "--output",
        str(folder / "trace"),
        "--trace=chmod,fchmodat,bind",
        hold_up,
    ]
    flags = [] if kind == "unix" else ["--zmq", f"ipc://{zmq_path}"]
    await process.launch(*flags, command=[*strace, *process.command], umask=0o000)
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)
    assert oct(path.lstat().st_mode & 0o777) == "0o600"
    assert "bind(" in (folder / "trace").read_text(encoding="utf-8")
    await process.until_notified("READY=1")
    os.kill((await process.call("daemon.status"))["pid"], signal.SIGTERM)  # not strace, which would stay behind
    await process.ended()

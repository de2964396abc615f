"""Whoever is turned away cannot fill the disk with log lines about it."""

from __future__ import annotations

import asyncio
import os
import pwd

import pytest

from support.daemon_process import DaemonProcess

KNOCK = """
import socket, sys
for _ in range(2000):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(sys.argv[1])
    except BlockingIOError:
        pass
    s.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
async def test_two_thousand_refused_peers_are_a_few_lines(process: DaemonProcess) -> None:
    for folder in (process.folder, process.socket_path.parent):
        folder.chmod(0o755)
    process.socket_path.chmod(0o666)
    nobody = pwd.getpwnam("nobody")
    knocking = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", "-c", KNOCK, str(process.socket_path), user=nobody.pw_uid, group=nobody.pw_gid, cwd="/"
    )
    async with asyncio.timeout(20):
        assert await knocking.wait() == 0
    assert (await process.call("daemon.status"))["pid"] == process.process.pid
    assert f"peer_refused uid={nobody.pw_uid}" in process.log
    assert process.log.count("peer_refused") < 20

"""What a service manager sees: readiness, status, the watchdog, passed sockets, and an end when nobody needs it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from callers import UnixCaller, call
from daemon_process import DaemonProcess
from plain_server import PlainServer

PASS_ON = """
import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What a service manager does between fork and exec."""


async def test_it_says_when_it_is_ready_how_it_stands_and_that_it_ends(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    process = await new_process().start()
    assert (await process.call("daemon.status"))["healthy"] is True
    await plain.stop()
    await process.call("task.create", title="T", base_url=plain.url)
    said = await process.until_said("STATUS=1 events wait, 1 tasks live; ")
    assert f"{plain.url} is unavailable" in said
    await plain.start()
    await process.until_said("STATUS=0 events wait, 1 tasks live")
    assert await process.stop() == 0
    await process.until_said("STOPPING=1")
    assert process.said.count("READY=1") == 1
    assert process.said[-1] == "STOPPING=1"


async def test_the_watchdog_is_fed_in_time(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(WATCHDOG_USEC="300000").start()
    for _ in range(3):
        process.said.clear()
        async with asyncio.timeout(5):
            await process.until_said("WATCHDOG=1")


async def test_without_the_managers_wish_there_is_no_watchdog(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(WATCHDOG_USEC="300000", WATCHDOG_PID="1").start()
    await process.until_said("STATUS=")
    assert "WATCHDOG=1" not in process.said


async def test_a_passed_socket_is_served_and_a_caller_that_came_before_is_answered(
    new_process: Callable[..., DaemonProcess], folder: Path
) -> None:
    path = folder / "passed.sock"
    process = new_process()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        early = await UnixCaller.connect(path)
        await early.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}')
        descriptor = os.dup(listening.fileno())
        os.set_inheritable(descriptor, True)
        command = [sys.executable, "-c", PASS_ON, str(descriptor), *process.command]
        await process.start(command=command, pass_fds=[descriptor])
        os.close(descriptor)
        assert f'"socket":"{path}"'.encode() in await early.receive()
        await early.close()
        later = await UnixCaller.connect(path)
        assert (await call(later, "daemon.status"))["socket"] == str(path)
        await later.close()
        assert not process.socket_path.exists()
        assert await process.stop() == 0
        assert path.is_socket()  # it is the manager's: the next caller starts the daemon again


async def test_sockets_passed_to_another_process_are_not_taken(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(LISTEN_FDS="1", LISTEN_PID="1").start()
    assert (await process.call("daemon.status"))["socket"] == str(process.socket_path)


async def test_it_ends_by_itself_when_idle_and_no_sooner(new_process: Callable[..., DaemonProcess], plain: PlainServer) -> None:
    process = await new_process().start("--idle-exit", "0.1")
    await process.call("task.create", title="T", task_id="t", base_url=plain.url)
    await process.until_said("STATUS=0 events wait, 1 tasks live")  # looked at every two seconds, and it is still there
    assert process.process.returncode is None
    await process.call("task.update", task_id="t", status="done")
    assert await process.ended() == 0
    assert "idle_exit" in process.log
    assert plain.only_task.status == "done"

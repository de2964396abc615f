"""What a service manager sees: readiness, status, the watchdog, passed sockets, and an end when nobody needs it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.callers import UnixCaller, call
from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer
from support.running_daemon import until

PASS_ON = """
import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What a service manager does between fork and exec."""


async def test_it_reports_readiness_status_and_its_end(new_process: Callable[..., DaemonProcess], plain: PlainServer) -> None:
    process = await new_process().start()
    assert (await process.call("daemon.status"))["healthy"] is True
    await plain.stop()
    await process.call("task.create", title="T", base_url=plain.url)
    status = await process.until_notified("STATUS=waiting events: 1, live tasks: 1; ")
    assert f"{plain.url} is unavailable" in status
    await plain.start()
    await process.until_notified("STATUS=waiting events: 0, live tasks: 1")
    assert await process.stop() == 0
    await process.until_notified("STOPPING=1")
    assert process.notifications.count("READY=1") == 1
    assert process.notifications[-1] == "STOPPING=1"


async def test_the_watchdog_is_fed_in_time(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(WATCHDOG_USEC="300000").start()
    for _ in range(3):
        process.notifications.clear()
        async with asyncio.timeout(5):
            await process.until_notified("WATCHDOG=1")


async def test_without_the_managers_wish_there_is_no_watchdog(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(WATCHDOG_USEC="300000", WATCHDOG_PID="1").start()
    await process.until_notified("STATUS=")
    assert "WATCHDOG=1" not in process.notifications


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
    await process.until_notified("STATUS=waiting events: 0, live tasks: 1")  # it checks every two seconds, and still runs
    assert process.process.returncode is None
    await process.call("task.update", task_id="t", status="done")
    assert await process.ended() == 0
    assert "idle_exit" in process.log
    assert plain.only_task.status == "done"


async def test_only_sockets_that_fit_are_served_and_the_others_are_named(
    new_process: Callable[..., DaemonProcess], folder: Path
) -> None:
    path = folder / "passed.sock"
    process = new_process()
    with (
        socket.socket(socket.AF_UNIX) as fitting,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as silent,
        (folder / "file").open("w") as file,
    ):
        fitting.bind(str(path))
        fitting.listen()
        passed = [os.dup(each.fileno()) for each in (tcp, datagrams, silent, file, fitting)]
        command = [sys.executable, "-c", PASS_ON_ALL, ",".join(map(str, passed)), *process.command]
        await process.start(command=command, pass_fds=passed)
        for descriptor in passed:
            os.close(descriptor)
        caller = await UnixCaller.connect(path)
        assert (await call(caller, "daemon.status"))["socket"] == str(path)
        await caller.close()
    assert process.log.count("passed_socket_ignored") == 3
    assert process.log.count("passed_descriptor_ignored") == 1


PASS_ON_ALL = """
import os, sys
passed = [os.dup2(int(each), 20 + at) for at, each in enumerate(sys.argv[1].split(","))]
for at, each in enumerate(passed):
    os.dup2(each, 3 + at)
os.closerange(3 + len(passed), 64)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(len(passed))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("count", ["", "many", "-1", "²"])
async def test_a_count_of_passed_sockets_that_is_none_is_passed_over(
    new_process: Callable[..., DaemonProcess], count: str
) -> None:
    program = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
    process = new_process(LISTEN_FDS=count)
    await process.start(command=[sys.executable, "-c", program, *process.command])
    assert (await process.call("daemon.status"))["socket"] == str(process.socket_path)


async def test_a_manager_that_does_not_listen_does_not_hold_it_up(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process(WATCHDOG_USEC="3000").start()  # the manager's queue is full in no time
    for _ in range(200):
        await process.call("daemon.status")
    await process.until_notified("WATCHDOG=1")


async def test_an_event_loop_that_hangs_feeds_no_watchdog(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process(WATCHDOG_USEC="150000")
    await process.start(command=[sys.executable, "-c", HANGS_WHEN_TOLD])
    await process.until_notified("WATCHDOG=1")
    process.process.send_signal(signal.SIGUSR1)
    await until(lambda: "hangs" in process.log)
    process.new_notifications()
    await asyncio.sleep(0.6)  # four times as long as the manager would wait
    assert process.new_notifications() == []
    await process.kill()


HANGS_WHEN_TOLD = """
import signal, sys, time
from clawlogd.main import main

def hang(*_):
    print("hangs", file=sys.stderr, flush=True)
    time.sleep(600)

signal.signal(signal.SIGUSR1, hang)
main([])
"""


async def test_it_leaves_no_core_and_may_have_as_many_descriptors_as_it_is_allowed(process: DaemonProcess) -> None:
    pid = process.process.pid
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft == (65536 if hard == resource.RLIM_INFINITY else min(hard, max(65536, soft)))

"""A process is known by its number, its start and its boot together, watched once, and never confused with another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from clawlogd.liveness import processes
from clawlogd.liveness.processes import ProcessWatcher, identify, identify_at, runs
from clawlogd.model import WatchedProcess
from support.running_daemon import until


@pytest.fixture
async def ended() -> list[str]:
    return []


@pytest.fixture(params=["pidfd", "polling"])
async def watcher(request: pytest.FixtureRequest, ended: list[str]) -> AsyncIterator[ProcessWatcher]:
    """Each way that the kernel may offer."""
    made = ProcessWatcher(ended=ended.append, poll_s=0.02, max_pidfds=None if request.param == "pidfd" else 0)
    yield made
    made.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pidfds_of(pid: int) -> int:
    """By how many descriptors this process holds another: asyncio has one for each of its children, from Python 3.12 on."""
    held = 0
    for each in list(Path("/proc/self/fdinfo").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # the one that read the folder
            held += f"\nPid:\t{pid}\n" in each.read_text(encoding="ascii")
    return held


def test_this_process_is_identified_and_runs() -> None:
    process = identify(os.getpid())
    assert process is not None
    assert process.started_ticks is not None
    assert process.boot_id is not None
    assert runs(process)


def test_a_number_that_no_process_has_identifies_none() -> None:
    assert identify(2**22 + 1) is None
    assert identify(2**40) is None


def test_a_process_that_ended_and_was_not_reaped_does_not_run() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert identify(child) is None
    finally:
        os.waitpid(child, 0)


async def test_a_stopped_process_runs(child: asyncio.subprocess.Process, identity: WatchedProcess) -> None:
    child.send_signal(signal.SIGSTOP)
    await until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    assert runs(identity)


@pytest.mark.parametrize("difference", [{"started_ticks": 1}, {"boot_id": "another boot"}, {"pidfd_inode": 1}])
def test_a_number_that_went_to_another_process_is_not_taken_for_the_one_that_was_meant(
    running: WatchedProcess, difference: dict[str, object]
) -> None:
    if running.pidfd_inode is None and "pidfd_inode" in difference:
        pytest.skip("this kernel gives pidfds no identity (Linux 6.9 does)")
    assert not runs(msgspec.structs.replace(running, **difference))


async def test_a_process_named_in_a_spooled_call_is_the_one_of_that_time(
    child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    now_ms = time.time_ns() // 1_000_000
    assert identify_at(child.pid, now_ms) == identity
    assert not runs(identify_at(child.pid, now_ms - 60_000))  # it began later: the number was another's then
    child.kill()
    await child.wait()
    assert not runs(identify_at(child.pid, now_ms))


def test_another_users_process_that_proc_hides_still_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_ours(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", not_ours)
    assert identify(2**22 + 1) == WatchedProcess(2**22 + 1)  # there is no such folder in /proc


def test_a_process_is_known_again_whether_or_not_it_could_be_looked_at(running: WatchedProcess) -> None:
    if running.pidfd_inode is None:
        pytest.skip("this kernel gives pidfds no identity (Linux 6.9 does)")
    hidden = msgspec.structs.replace(running, started_ticks=None)
    assert runs(hidden)
    assert not runs(msgspec.structs.replace(hidden, pidfd_inode=running.pidfd_inode + 1))
    assert not runs(msgspec.structs.replace(hidden, boot_id="another boot"))
    assert runs(msgspec.structs.replace(running, pidfd_inode=None))


async def test_the_end_of_a_process_is_told_once_for_each_of_its_tasks(
    watcher: ProcessWatcher, ended: list[str], child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    for task_id in ("a", "b", "c"):
        watcher.watch(task_id, identity)
    watcher.watch("a", identity)
    watcher.unwatch("c")
    assert watcher.running("a")
    child.kill()
    await until(lambda: len(ended) >= 2)
    assert sorted(ended) == ["a", "b"]
    assert not watcher.running("a")
    await child.wait()


async def test_a_process_that_does_not_run_is_told_of_soon_and_not_while_it_is_being_entered(
    watcher: ProcessWatcher, ended: list[str], dead: WatchedProcess, running: WatchedProcess
) -> None:
    watcher.watch("a", dead)
    watcher.watch("b", dead)
    watcher.watch("b", running)  # thought better of
    assert ended == []
    await until(lambda: ended == ["a"])
    assert watcher.running("b")


async def test_a_task_has_one_process_at_a_time(
    watcher: ProcessWatcher,
    ended: list[str],
    child: asyncio.subprocess.Process,
    identity: WatchedProcess,
    running: WatchedProcess,
) -> None:
    watcher.watch("a", identity)
    watcher.watch("a", running)
    watcher.watch("b", identity)
    child.kill()
    await until(lambda: ended == ["b"])
    assert watcher.running("a")


async def test_one_process_costs_one_descriptor_however_many_tasks_it_has(running: WatchedProcess) -> None:
    before = descriptors()
    watcher = ProcessWatcher(ended=lambda _: None)
    for number in range(1000):
        watcher.watch(f"t{number}", running)
    assert descriptors() == before + 1
    for number in range(1000):
        watcher.unwatch(f"t{number}")
    assert descriptors() == before
    watcher.close()


async def test_processes_over_the_share_of_descriptors_are_polled(
    ended: list[str], child: asyncio.subprocess.Process, identity: WatchedProcess, running: WatchedProcess
) -> None:
    before = descriptors() - pidfds_of(child.pid)
    watcher = ProcessWatcher(ended=ended.append, poll_s=0.02, max_pidfds=1)
    watcher.watch("a", running)
    watcher.watch("b", identity)
    assert descriptors() == before + pidfds_of(child.pid) + 1
    child.kill()
    await until(lambda: ended == ["b"])
    await child.wait()
    watcher.close()
    assert descriptors() == before


async def test_where_the_kernel_has_no_pidfd_processes_are_polled(
    ended: list[str], child: asyncio.subprocess.Process, identity: WatchedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(processes.os, "pidfd_open")
    watcher = ProcessWatcher(ended=ended.append, poll_s=0.02)
    watcher.watch("a", identity)
    child.kill()
    await until(lambda: ended == ["a"])
    watcher.close()

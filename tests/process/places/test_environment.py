"""Where the clients and the daemon look: each folder is proved, not believed, and both sides judge by the same rules."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from process.places.conftest import AS_ROOT, BIN, NOBODY, ROOT, World, taken
from support.callers import UnixCaller, call
from support.running_daemon import until

# ── XDG_RUNTIME_DIR ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_runtime_folder_that_is_not_there_is_no_place_for_a_socket(world: World) -> None:
    gone = world.home / "run" / "user" / "1000"
    assert taken(world.create(env={"XDG_RUNTIME_DIR": str(gone)}))
    assert not gone.exists()
    assert (world.home / ".local/state/clawlog/run/clawlogd.sock").is_socket()


@AS_ROOT
def test_somebody_elses_runtime_folder_is_left_as_it_is(world: World) -> None:
    theirs = world.home / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)
    assert taken(world.create(env={"XDG_RUNTIME_DIR": str(theirs)}))
    assert list(theirs.iterdir()) == []


def test_a_runtime_folder_of_ones_own_is_used(world: World) -> None:
    own = world.home / "own"
    own.mkdir(mode=0o700)
    assert taken(world.create(env={"XDG_RUNTIME_DIR": str(own)}))
    assert (own / "clawlog" / "clawlogd.sock").is_socket()


@pytest.mark.parametrize("value", ["", "relative/run", "file"])
def test_a_runtime_folder_that_is_none_is_not_used(world: World, value: str) -> None:
    (world.home / "file").write_text("")
    named = str(world.home / "file") if value == "file" else value
    assert taken(world.create(env={"XDG_RUNTIME_DIR": named}))
    assert (world.home / ".local/state/clawlog/run/clawlogd.sock").is_socket()


# ── HOME ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@AS_ROOT
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python that every user may run")
@pytest.mark.parametrize("home", ["-", ""])
def test_without_a_home_no_folder_named_tilde_is_made(world: World, home: str) -> None:
    place = world.home / "cwd"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    world.home.chmod(0o755)
    ended = world.create(cwd=place, env={"HOME": home}, user=54321, group=54321)
    assert list(place.iterdir()) == []
    assert ended.returncode == 2, (ended.returncode, ended.stderr)
    assert "CLAWLOG_STATE_DIR" in ended.stderr
    assert "Traceback" not in ended.stderr


UNKNOWN_USER = """
import pwd
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
from clawlogd.main import main
main([])
"""


def test_a_daemon_without_a_home_says_what_to_set(world: World) -> None:
    """As a user whom the system does not know."""
    ended = subprocess.run(
        [sys.executable, "-c", UNKNOWN_USER], env={"PATH": os.environ["PATH"]}, cwd=world.home, check=False,
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert ended.returncode in {2, 69}, ended.stderr
    assert "CLAWLOG_STATE_DIR" in ended.stderr
    assert "Traceback" not in ended.stderr


@AS_ROOT
def test_root_with_somebody_elses_home_makes_nothing_in_it(world: World) -> None:
    """As ``sudo -E`` and ``su`` without a dash have it."""
    theirs = world.home / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    spool = Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".local/state/clawlog/spool"
    before = set(spool.glob("*.call"))
    world.create(env={"HOME": str(theirs), "CLAWLOG_AUTOSTART": "0", "XDG_RUNTIME_DIR": str(theirs)})
    assert list(theirs.iterdir()) == []
    (written,) = set(spool.glob("*.call")) - before  # in root's own home, where a daemon of root's will look
    written.unlink()


@AS_ROOT
@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "CLAWLOG_STATE_DIR"])
def test_nothing_is_written_into_somebody_elses_state_folder(world: World, variable: str) -> None:
    """What an environment brings along is passed over; what was chosen is an error."""
    theirs = world.home / "theirs"
    (theirs / "clawlog").mkdir(mode=0o755, parents=True)
    for each in (theirs, theirs / "clawlog"):
        os.chown(each, NOBODY, NOBODY)
    named = theirs if variable == "XDG_STATE_HOME" else theirs / "clawlog"
    ended = world.create(env={variable: str(named), "CLAWLOG_AUTOSTART": "0"})
    assert list((theirs / "clawlog").iterdir()) == []
    if variable == "XDG_STATE_HOME":
        assert ended.returncode == 0, ended.stderr
        assert list((world.home / ".local/state/clawlog/spool").glob("*.call"))
    else:
        assert ended.returncode == 69, (ended.returncode, ended.stderr)
        assert "belongs to user 65534" in ended.stderr


# ── Links, and files of others ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("linked", ["state", "spool"])
def test_a_folder_that_is_a_link_is_not_written_into(world: World, linked: str) -> None:
    elsewhere = world.home / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    state = world.home / "state"
    if linked == "state":
        state.symlink_to(elsewhere)
    else:
        state.mkdir(mode=0o700)
        (state / "spool").symlink_to(elsewhere)
    ended = world.create(env={"CLAWLOG_STATE_DIR": str(state), "CLAWLOG_AUTOSTART": "0"})
    assert list(elsewhere.iterdir()) == []
    assert ended.returncode == 69, (ended.returncode, ended.stderr)
    assert "link" in ended.stderr


@AS_ROOT
def test_a_spool_of_somebody_else_is_not_written_into(world: World) -> None:
    spool = world.home / "state" / "spool"
    spool.mkdir(mode=0o777, parents=True)
    os.chown(spool, NOBODY, NOBODY)
    ended = world.create(env={"CLAWLOG_STATE_DIR": str(spool.parent), "CLAWLOG_AUTOSTART": "0"})
    assert list(spool.iterdir()) == []
    assert ended.returncode == 69, (ended.returncode, ended.stderr)


@AS_ROOT
async def test_a_daemon_takes_nothing_from_a_spool_of_somebody_else(new_process: Callable[..., Any]) -> None:
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    from support.spooling import files, keep

    process.state_dir.mkdir(mode=0o700)
    keep(process.state_dir, "task.create", title="Forged", task_id="forged")
    os.chown(process.state_dir / "spool", NOBODY, NOBODY)
    await process.start()
    assert (await process.call("task.list"))["tasks"] == []
    assert len(files(process.state_dir)) == 1
    status = await process.call("daemon.status")
    assert any("spool" in each for each in status["problems"]), status


@pytest.mark.parametrize("name", ["clawlogd.log", "autostart.lock"])
def test_a_log_or_lock_that_is_a_link_is_not_written_through(world: World, name: str) -> None:
    target = world.home / "precious"
    target.write_text("precious")
    state = world.home / "state"
    state.mkdir(mode=0o700)
    (state / name).symlink_to(target)
    world.create(env={"CLAWLOG_STATE_DIR": str(state)})
    assert target.read_text() == "precious"


def test_a_spool_file_that_is_a_pipe_holds_nobody_up(world: World) -> None:
    spool = world.home / "state" / "spool"
    spool.mkdir(mode=0o700, parents=True)
    spool.parent.chmod(0o700)
    os.mkfifo(spool / "00000000000000000001.call")
    assert taken(world.create(env={"CLAWLOG_STATE_DIR": str(spool.parent)}))


# ── One reading of the environment ─────────────────────────────────────────────────────────────────────────────────

API = """
import clawlog
with clawlog.task("T", watch_pid=None) as task:
    print(task.task_id)
"""
ASYNC_API = """
import asyncio, clawlog
async def main():
    async with clawlog.async_task("T", watch_pid=None) as task:
        print(task.task_id)
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["script", "run", "api", "asyncio"])
async def test_every_way_in_reads_the_backend_from_the_environment(process: Any, way: str) -> None:
    env = {**process.env, "CLAWLOG_BASE_URL": "http://127.0.0.1:8123"}
    command = {
        "script": [str(BIN / "python"), str(ROOT / "scripts" / "create_task.py"), "--title", "T"],
        "run": [str(BIN / "clawlog"), "run", "--", "true"],
        "api": [str(BIN / "python"), "-c", API],
        "asyncio": [str(BIN / "python"), "-c", ASYNC_API],
    }[way]
    ended = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    await ended.communicate()
    assert ended.returncode == 0
    (task,) = (await process.call("task.list"))["tasks"]
    assert task["base_url"] == "http://127.0.0.1:8123"


# ── Sockets ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("variable", ["CLAWLOG_SOCKET", "CLAWLOG_STATE_DIR"])
def test_a_socket_path_that_is_too_long_is_an_error_and_no_spool_that_nobody_drains(world: World, variable: str) -> None:
    long = world.home / ("x" * 120)
    value = str(long / "d.sock") if variable == "CLAWLOG_SOCKET" else str(long)
    ended = world.create(env={variable: value})
    assert ended.returncode == 2, (ended.returncode, ended.stdout, ended.stderr)
    assert "107 bytes" in ended.stderr
    assert "CLAWLOG_SOCKET" in ended.stderr
    assert list(world.home.rglob("*.call")) == []


async def test_a_daemon_that_hangs_costs_a_wrapped_command_one_time_out(process: Any) -> None:
    os.kill(process.process.pid, signal.SIGSTOP)
    try:
        started = asyncio.get_running_loop().time()
        ended = await asyncio.create_subprocess_exec(
            str(BIN / "clawlog"), "run", "--", "true", env={**process.env, "CLAWLOG_AUTOSTART": "0"}
        )
        async with asyncio.timeout(40):
            assert await ended.wait() == 0
        assert asyncio.get_running_loop().time() - started < 8
    finally:
        os.kill(process.process.pid, signal.SIGCONT)
    caller = await UnixCaller.connect(process.socket_path)

    async def told() -> bool:
        tasks = (await call(caller, "task.list"))["tasks"]
        return [task["status"] for task in tasks] == ["done"]

    await until(told)
    await caller.close()

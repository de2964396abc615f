"""A socket or a state folder that is taken away under a living daemon is noticed within five seconds."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clawlog.protocol.errors import RpcError
from support.callers import DealerCaller, call
from support.daemon_process import DaemonProcess
from support.running_daemon import until
from support.spooling import files

NOTICED_S = 5.0


def remove(folder: Path) -> None:
    """Removes a folder at once, whatever is written into it meanwhile."""
    shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}.gone")))


async def answers(process: DaemonProcess) -> bool:
    try:
        return bool((await process.call("daemon.status"))["pid"] == process.process.pid)
    except OSError:
        return False


@pytest.mark.parametrize("lost", ["the folder", "the socket", "the folder, and another is made in its place"])
async def test_a_lost_socket_is_bound_anew(process: DaemonProcess, lost: str) -> None:
    if lost == "the socket":
        process.socket_path.unlink()
    else:
        remove(process.socket_path.parent)
        if "another" in lost:
            process.socket_path.parent.mkdir(mode=0o700)
    await until(lambda: answers(process), NOTICED_S)
    assert process.socket_path.lstat().st_mode & 0o777 == 0o600
    assert process.socket_path.parent.lstat().st_mode & 0o777 == 0o700
    assert process.log.count("socket_lost") == 1
    assert await process.stop() == 0
    assert not process.socket_path.exists()


async def test_a_connection_from_before_lives_on(process: DaemonProcess) -> None:
    caller = await process.connect()
    remove(process.socket_path.parent)
    await until(lambda: answers(process), NOTICED_S)
    assert (await call(caller, "daemon.status"))["pid"] == process.process.pid
    await caller.close()


async def test_a_socket_that_another_has_put_there_is_left_alone(process: DaemonProcess) -> None:
    process.socket_path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(process.socket_path))
        other.listen()
        theirs = process.socket_path.lstat().st_ino
        await until(lambda: "socket_taken" in process.log, NOTICED_S)
        assert process.socket_path.lstat().st_ino == theirs
        assert await process.stop() == 0
        assert process.socket_path.lstat().st_ino == theirs


async def test_a_lost_zeromq_socket_is_bound_anew(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    endpoint = f"ipc://{process.folder}/z/d.zmq"
    await process.start("--zmq", endpoint)
    remove(process.folder / "z")
    await until((process.folder / "z" / "d.zmq").is_socket, NOTICED_S)
    caller = DealerCaller(endpoint)
    assert (await call(caller, "daemon.status"))["pid"] == process.process.pid
    await caller.close()


async def test_lost_metrics_are_served_anew(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    path = process.folder / "m" / "metrics.sock"
    await process.start("--metrics", f"unix:{path}")
    remove(path.parent)
    await until(path.is_socket, NOTICED_S)


def take_away(process: DaemonProcess, lost: str) -> None:
    state = process.state_dir
    match lost:
        case "removed":
            remove(state)
        case "moved away":
            state.rename(state.with_name("elsewhere"))
        case "replaced":
            state.rename(state.with_name("elsewhere"))
            state.mkdir(mode=0o700)
        case "its outbox removed":
            for path in state.glob("outbox.db*"):
                path.unlink()
        case "its outbox replaced":
            shutil.copy(state / "outbox.db", state / "copy")
            (state / "copy").rename(state / "outbox.db")


@pytest.mark.parametrize("lost", ["removed", "moved away", "replaced", "its outbox removed", "its outbox replaced"])
async def test_nothing_is_accepted_into_a_state_folder_that_is_gone(process: DaemonProcess, lost: str) -> None:
    await process.call("task.create", title="T", task_id="t")
    take_away(process, lost)

    async def refused() -> bool:
        try:
            await process.call("task.update", task_id="t", status="running")
        except RpcError as error:
            assert error.name == "storage_failed"  # noqa: PT017 - polled for
            assert str(process.state_dir) in error.message  # noqa: PT017
            return True
        return False

    await until(refused, NOTICED_S)
    status = await process.call("daemon.status")
    assert status["healthy"] is False
    assert any(str(process.state_dir) in each for each in status["problems"]), status["problems"]
    with pytest.raises(RpcError):
        await process.call("task.create", title="U")


async def test_a_state_folder_that_is_put_back_is_used_again(process: DaemonProcess) -> None:
    await process.call("task.create", title="T", task_id="t")
    away = process.state_dir.with_name("elsewhere")
    process.state_dir.rename(away)

    async def accepted() -> bool:
        try:
            await process.call("task.update", task_id="t", status="running")
        except RpcError:
            return False
        return True

    async def refused() -> bool:
        return not await accepted()

    await until(refused, NOTICED_S)
    away.rename(process.state_dir)
    await until(accepted, NOTICED_S)
    assert (await process.call("daemon.status"))["outbox"]["storage_error"] is None


async def test_no_other_daemon_is_kept_waiting_by_one_whose_state_is_gone(process: DaemonProcess) -> None:
    """What is spooled meanwhile is delivered by the daemon that comes next."""
    remove(process.state_dir)
    env = {**process.env, "CLAWLOG_SOCKET": str(process.socket_path), "CLAWLOG_AUTOSTART": "0"}
    script = Path(__file__).parents[3] / "scripts" / "create_task.py"

    def create() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/env", "python3", str(script), "--title", "T", "--task-id", "t"],
            env=env, check=False, capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    async def refused() -> bool:
        try:
            await process.call("task.create", title="probe")
        except RpcError:
            return True
        return False

    await until(refused, NOTICED_S)
    ended = create()
    assert (ended.returncode, json.loads(ended.stdout)["spooled"]) == (0, True), ended.stderr
    assert files(process.state_dir)

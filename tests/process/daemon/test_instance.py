"""One daemon per state folder, private sockets, and nothing removed that another uses."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon_process import DaemonProcess, environment, run_to_end


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_a_second_daemon_on_the_same_state_ends_with_69_and_harms_nothing(process: DaemonProcess, folder: Path) -> None:
    await process.call("task.create", title="T", task_id="t")
    before = process.socket_path.lstat().st_ino
    status, out, err = await run_to_end(folder, env=process.env | {"NOTIFY_SOCKET": ""})
    assert (status, out) == (69, "")
    assert err == (
        f"clawlogd: a clawlogd (pid {process.process.pid}) has the state folder {process.state_dir}; "
        "use it, or give this one another --state-dir\n"
    )
    assert process.socket_path.lstat().st_ino == before
    assert (await process.call("task.get", task_id="t"))["title"] == "T"


async def test_a_socket_that_another_daemon_serves_is_not_taken_over(process: DaemonProcess, folder: Path) -> None:
    env = environment(folder, CLAWLOG_SOCKET=str(process.socket_path), CLAWLOG_STATE_DIR=str(folder / "other"))
    status, _, err = await run_to_end(folder, env=env)
    assert status == 69
    assert f"something serves {process.socket_path} already" in err
    assert (await process.call("daemon.status"))["pid"] == process.process.pid


async def test_the_socket_of_a_daemon_that_died_is_replaced(process: DaemonProcess) -> None:
    await process.kill()
    assert process.socket_path.is_socket()
    await process.start()
    assert (await process.call("daemon.status"))["pid"] == process.process.pid


async def test_the_socket_is_gone_after_an_end_in_order(process: DaemonProcess) -> None:
    assert await process.stop() == 0
    assert not process.socket_path.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_folders_are_0700_sockets_and_files_0600_whatever_the_umask(
    new_process: Callable[..., DaemonProcess], folder: Path, umask: int
) -> None:
    process = new_process()
    zmq_path = process.socket_path.with_name("d.zmq")
    await process.start("--zmq", f"ipc://{zmq_path}", umask=umask)
    await process.call("task.create", title="T", base_url="http://127.0.0.1:9")
    assert {path: mode(path) for path in (process.state_dir, process.socket_path.parent, process.state_dir / "run")} == {
        process.state_dir: 0o700,
        process.socket_path.parent: 0o700,
        process.state_dir / "run": 0o700,
    }
    assert (mode(process.socket_path), mode(zmq_path)) == (0o600, 0o600)
    files = [path for path in process.state_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"outbox.db", "outbox.db-wal", "outbox.seq", "clawlogd.lock"}
    assert {path: mode(path) for path in files if mode(path) & 0o077} == {}


async def test_a_state_folder_that_others_may_read_is_closed_to_them(
    new_process: Callable[..., DaemonProcess], folder: Path
) -> None:
    process = new_process()
    process.state_dir.mkdir(mode=0o755)
    await process.start()
    assert mode(process.state_dir) == 0o700


@pytest.mark.parametrize("which", ["state", "run"])
async def test_a_folder_that_is_a_symbolic_link_is_refused(folder: Path, which: str) -> None:
    (folder / "elsewhere").mkdir(mode=0o700)
    (folder / which).symlink_to(folder / "elsewhere")
    status, _, err = await run_to_end(folder, env=environment(folder, CLAWLOG_SOCKET=str(folder / "run" / "d.sock")))
    assert status == 69
    assert err == f"clawlogd: {folder / which} is a symbolic link; name the folder itself\n"
    assert list((folder / "elsewhere").iterdir()) == []


async def test_what_is_no_socket_is_left_where_it_is(folder: Path) -> None:
    path = folder / "precious"
    path.write_text("data")
    status, _, err = await run_to_end(folder, "--socket", str(path))
    assert status == 69
    assert "is there and is no socket" in err
    assert path.read_text() == "data"


async def test_a_live_socket_that_does_not_answer_is_not_taken_for_dead(folder: Path) -> None:
    path = folder / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen()
        status, _, err = await run_to_end(folder, "--socket", str(path))
    assert status == 69
    assert f"something serves {path} already" in err


async def test_a_path_that_is_too_long_for_a_socket_is_refused_with_the_bound(folder: Path) -> None:
    status, _, err = await run_to_end(folder, "--socket", str(folder / ("x" * 120)))
    assert status == 69
    assert "107 bytes" in err


async def test_a_state_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    status, _, err = await run_to_end(folder, "--state-dir", str(folder / "file" / "state"))
    assert status == 69
    assert "cannot be made: Not a directory" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that belongs to somebody else")
async def test_a_state_folder_of_somebody_else_is_refused(folder: Path) -> None:
    (folder / "state").mkdir(mode=0o700)
    os.chown(folder / "state", 4242, 4242)
    status, _, err = await run_to_end(folder)
    assert status == 69
    assert "belongs to user 4242" in err


async def test_an_outbox_of_a_newer_version_is_left_as_it_is(process: DaemonProcess, folder: Path) -> None:
    await process.call("task.create", title="T")
    await process.stop()
    database = process.state_dir / "outbox.db"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = database.read_bytes()
    status, _, err = await run_to_end(folder, env=process.env)
    assert status == 69
    assert "schema version 99" in err
    assert database.read_bytes() == before


async def test_a_zeromq_port_that_is_taken_is_said_in_one_line(folder: Path) -> None:
    import zmq

    keys = folder / "secret"
    public, secret = zmq.curve_keypair()
    keys.write_bytes(secret)
    config = folder / "c.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(
            f'zmq = "{endpoint}"\n[listen]\nzmq_server_key_file = "{keys}"\nzmq_client_keys = ["{public.decode()}"]\n'
        )
        status, _, err = await run_to_end(folder, "--config", str(config))
    assert status == 69
    assert err == f"clawlogd: {endpoint}: cannot be bound: Address already in use; choose another with --zmq\n"

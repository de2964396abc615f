"""The program itself, as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawlog_backend import __version__
from clawlog_backend.main import main
from clawlog_backend.storage.migrations import SCHEMA_VERSION

VERSION_1 = Path(__file__).parents[2] / "unit" / "backend" / "storage" / "database-v1.sql"
TOKEN = "correct-horse-battery-staple"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the program on a free port with a database of its own."""
    running: list[subprocess.Popen[str]] = []

    def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "clawlog_backend", "--port", "0", "--database", str(tmp_path / "b.db"),
            "--port-file", str(tmp_path / "port"), *arguments,
        ]  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAWLOG_")}
        process = subprocess.Popen(command, env=kept | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_cleanly_with_clients_connected(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process = start()
    assert process.stdout is not None
    line = process.stdout.readline()
    port = int((tmp_path / "port").read_text())
    assert line == f"ClawLog backend: http://127.0.0.1:{port}\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        assert answer.status == 200
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
    with (
        socket.create_connection(("127.0.0.1", port), 10) as idle,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/stream", timeout=10) as stream,
    ):
        assert stream.readline().startswith(b"id: ")
        began = time.monotonic()
        process.send_signal(number)
        assert b"event: hello" in stream.read()  # to its end
        assert idle.recv(1) == b""
        assert time.monotonic() - began < 2.5
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_on_another_address_it_wants_a_token(start: Start, tmp_path: Path) -> None:
    refused = start("--host", "0.0.0.0")
    _, err = refused.communicate(timeout=10)
    assert refused.returncode == 2
    assert "refusing to listen on 0.0.0.0 without a token" in err

    (tmp_path / "token").write_text(TOKEN + "\n")
    process = start("--host", "0.0.0.0", CLAWLOG_TOKEN_FILE=str(tmp_path / "token"))
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/tasks", timeout=10)
    assert error.value.code == 401
    error.value.close()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/tasks", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    process.terminate()
    out, err = process.communicate(timeout=10)
    assert TOKEN not in out + err


def test_what_it_cannot_use_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(status: int, *arguments: str) -> str:
        assert main(["--port", "0", *arguments]) == status
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("clawlog backend: ")
        assert err.count("\n") == 1
        return err

    (tmp_path / "text.db").write_text("this is no database " * 100)
    assert "text.db: file is not a database" in said(69, "--database", str(tmp_path / "text.db"))
    (tmp_path / "file").write_text("")
    assert "cannot use the database" in said(69, "--database", str(tmp_path / "file" / "b.db"))
    assert "no engine for a database URL of nosuch://" in said(69, "--database", "nosuch://user@host/name")
    refused = said(2, "--database", "postgresql://user:secret@host/name")
    assert "PGPASSFILE" in refused
    assert "secret" not in refused
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in said(69, "--port", port, "--database", str(tmp_path / "b.db"))


def test_a_flag_that_cannot_be_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["--port", "x"], ["--port", "70000"], ["--keep-days", "-1"], ["--keep-days", "nan"],
        ["--requests-per-second", "-1"], ["--nonsense"], ["--pool", "1"], ["migrate", "--port", "1"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert arguments[-1] in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "exit status" in capsys.readouterr().out


def test_a_second_backend_on_one_file_is_told_who_has_it(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start()
    assert first.stdout is not None
    url = first.stdout.readline().split()[-1]
    (tmp_path / "link.db").symlink_to(tmp_path / "b.db")
    for name in ("b.db", "link.db"):
        for command in ([], ["migrate"], ["migrate", "--check"]):
            assert main([*command, "--database", str(tmp_path / name)]) == 69
            said = capsys.readouterr().err
            assert f"in use by process {first.pid} at {url} (version {__version__}), since 20" in said
            assert said.count("\n") == 1
    first.kill()  # what it leaves behind keeps nobody out
    first.wait()
    assert main(["migrate", "--database", str(tmp_path / "b.db")]) == 0


def test_a_program_that_leaves_no_word_is_named_by_its_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "b.db")
    assert main(["migrate", "--check", "--database", path]) == 0
    assert not Path(path).exists()
    assert main(["migrate", "--database", path]) == 0
    earlier = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA locking_mode = EXCLUSIVE'); "
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('UPDATE database_info SET floor_seq = 0'); c.commit(); "
        "print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", earlier, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        capsys.readouterr()
        assert main(["--port", "0", "--database", path]) == 69
        assert f"in use by process {process.pid} (an earlier version, or another program)" in capsys.readouterr().err
        process.kill()


def test_migrate_says_what_there_is_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1.read_text(encoding="utf-8"))
    old.close()

    def said(status: int, *arguments: str) -> str:
        assert main(["migrate", *arguments, "--database", str(path)]) == status
        return capsys.readouterr().out

    wanted = f"schema version 1, {SCHEMA_VERSION} is wanted: run `clawlog backend migrate`\n"
    assert [said(1, "--check"), said(1, "--check")] == [wanted, wanted]
    assert said(0) == f"migrated from schema version 1 to {SCHEMA_VERSION}\n"
    assert said(0, "--check") == said(0) == f"schema version {SCHEMA_VERSION}: nothing to do\n"

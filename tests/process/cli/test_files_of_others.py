"""What ``clawlog`` writes for others: a write that failed is an error, and a file keeps its kind, mode, owner and links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from process.cli.conftest import Clawlog
from support.installation import CLAWLOG, Installation
from support.side_by_side import ended

IO_ERROR = 74
COMMANDS = (
    ("tasks",),
    ("tasks", "--json"),
    ("status",),
    ("status", "--json"),
    ("--help",),
    ("--version",),
    ("tasks", "--help"),
    ("dead-letter", "list", "--json"),
    ("doctor",),
    ("contract", "show", "--toml"),
    ("completion", "bash"),
    ("install", "hooks", "claude-code", "--dry-run"),
)


@pytest.fixture(scope="module")
def busy(running: Installation) -> Installation:
    """The shared fresh, with a task in it."""
    with running.client() as client:
        client.create_task("Deploy", ["one"], task_id="deploy")
        client.flush()
    return running


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_output_that_cannot_be_written_is_an_error(busy: Installation, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = ended(busy, [*CLAWLOG, *arguments], stdout=full)
    assert ran.status == IO_ERROR
    assert b"No space left on device" in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert ran.stderr.count(b"cannot be written") == 1


def test_a_closed_output_is_no_crash(busy: Installation) -> None:
    for arguments in (("tasks",), ("status", "--json"), ("--version",)):
        ran = ended(busy, ["sh", "-c", 'exec "$@" >&-', "sh", *CLAWLOG, *arguments])
        assert b"Traceback" not in ran.stderr
        assert ran.status in (0, 1, IO_ERROR)


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-"])
def test_diagnostics_that_cannot_be_written_change_nothing(busy: Installation, redirection: str) -> None:
    ran = ended(busy, ["sh", "-c", f'exec "$@" {redirection}', "sh", *CLAWLOG, "show", "no-such-task"])
    assert (ran.status, ran.stdout) == (65, b"")
    ran = ended(busy, ["sh", "-c", f'exec "$@" {redirection}', "sh", *CLAWLOG, "no-such-command"])
    assert (ran.status, ran.stdout) == (2, b"")


def test_a_reader_that_has_gone_is_no_error(busy: Installation) -> None:
    ran = ended(busy, ["bash", "-c", '"$@" | true; echo "${PIPESTATUS[0]}"', "bash", *CLAWLOG, "tasks", "--json"])
    assert (ran.stdout, ran.stderr) == (b"0\n", b"")


def test_the_backends_port_file_keeps_its_kind(fresh: Installation) -> None:
    """A link stays a link, and a pipe gets the port: the reader need not look again and again."""
    target, link = fresh.folder / "target", fresh.folder / "link"
    target.write_text("old\n", encoding="ascii")
    target.chmod(0o644)
    link.symlink_to("target")
    fifo = fresh.folder / "fifo"
    os.mkfifo(fifo)
    for path in (link, fifo):
        command = [
            sys.executable,
            "-m",
            "clawlog_backend",
            "--port",
            "0",
            "--port-file",
            str(path),
            "--database",
            str(fresh.folder / "b.db"),
        ]
        process = fresh.start(*command, stdout=subprocess.PIPE)
        port = int(fifo.read_text(encoding="ascii")) if path is fifo else 0
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert url.endswith(f":{port or int(target.read_text(encoding='ascii'))}")
        fresh.end(process)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert stat.S_ISFIFO(fifo.stat().st_mode)


# ── Files that come from an editor ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["byte order mark", "Windows line ends"])
def test_a_configuration_from_any_editor_is_read(fresh: Installation, clawlog: Clawlog, kind: str) -> None:
    text = 'base_url = "http://127.0.0.1:9/x"\n\n[heartbeat]\nstall_after_s = 60\n'
    text = "\ufeff" + text if kind == "byte order mark" else text.replace("\n", "\r\n")
    config = fresh.folder / "clawlog.toml"
    config.write_bytes(text.encode())
    fresh.env["CLAWLOG_CONFIG"] = str(config)
    ran = ended(fresh, [sys.executable, "-m", "clawlogd", "--check-config"])
    assert (ran.status, ran.stderr) == (0, b"")
    assert "127.0.0.1:9/x" in clawlog(fresh, "doctor", "--json").stdout


@pytest.mark.parametrize("token", ["\ufeff", ""])
def test_a_token_from_any_editor_is_read(fresh: Installation, token: str) -> None:
    path = fresh.folder / "token"
    path.write_bytes(f"{token}a-token-of-the-test-0123456789\r\n".encode())
    path.chmod(0o600)
    fresh.env["CLAWLOG_TOKEN_FILE"] = str(path)
    fresh.start_backend()
    fresh.start_daemon()
    with fresh.client() as client:
        client.create_task("T", task_id="t")
        assert client.flush(timeout_s=10).flushed
    assert fresh.backend.task("t").title == "T"


@pytest.mark.parametrize(
    "locale",
    [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["C", "POSIX without UTF-8"],
)
def test_titles_are_unicode_whatever_the_locale(busy: Installation, locale: dict[str, str]) -> None:
    ran = ended(busy, [*CLAWLOG, "run", "--title", "部署 Nginx", "--", "true"], env={**busy.env, **locale})
    assert (ran.status, ran.stderr) == (0, b"")
    for arguments in (("tasks",), ("tasks", "--json")):
        shown = ended(busy, [*CLAWLOG, *arguments], env={**busy.env, **locale})
        assert (shown.status, shown.stderr) == (0, b"")
        assert "部署 Nginx" in shown.stdout.decode()


def test_a_daemon_in_any_locale_logs_and_delivers(fresh: Installation) -> None:
    fresh.env |= {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "CLAWLOG_LOG_LEVEL": "debug"}
    fresh.start_backend()
    fresh.start_daemon()
    with fresh.client() as client:
        client.create_task("部署 Nginx", ["检查"], task_id="t")
        client.update_step("t", "检查", "done", summary="完成")
        assert client.flush(timeout_s=10).flushed
    assert fresh.backend.task("t").title == "部署 Nginx"
    assert "Traceback" not in fresh.log("daemon")
    assert "UnicodeEncodeError" not in fresh.log("daemon")

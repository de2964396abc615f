"""A daemon that is held (SIGSTOP) or hangs accepts connections, and answers nothing: a script waits once, then spools."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawlog.protocol import spool

SHORT = """
import sys
from clawlog.scripting import fast
fast.TIMEOUT_S = 0.3
sys.argv = ["script", *sys.argv[2:]]
sys.exit(fast.main({script!r}))
"""
"""A script as its file runs it, with a shorter patience: what it does afterwards has its own, of 10 s."""


@pytest.fixture
def hung(short_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short_dir / "d.sock"))
        listening.listen()
        yield listening


def asked(hung: socket.socket) -> list[list[str]]:
    """The verbs that came over each connection."""
    hung.settimeout(0)
    found = []
    while True:
        try:
            connection, _ = hung.accept()
        except BlockingIOError:
            return found
        with connection, connection.makefile("rb") as lines:
            found.append([json.loads(line)["method"] for line in lines])


@pytest.mark.parametrize(
    ("script", "arguments", "status", "kept"),
    [
        ("create_task", ["--title", "T"], 0, ["task.create"]),
        ("update_status", ["--task-id", "t", "--task-status", "done"], 0, ["task.update"]),
        (
            "update_status",
            ["--task-id", "t", "--step-id", "1", "--step-status", "done", "--check-interrupt"],
            75,
            ["step.update"],
        ),
        ("update_status", ["--task-id", "t", "--heartbeat"], 69, []),
    ],
    ids=["create", "update", "update and check", "heartbeat"],
)
def test_a_script_waits_once_for_a_daemon_that_does_not_answer(
    hung: socket.socket, env: dict[str, str], short_dir: Path, script: str, arguments: list[str], status: int, kept: list[str]
) -> None:
    command = [sys.executable, "-c", SHORT.format(script=script), "--", *arguments]
    ended = subprocess.run(
        command,
        env={**env, "CLAWLOG_SOCKET": str(short_dir / "d.sock")},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == status, ended.stderr
    assert ended.stderr.count("did not answer in time") == 1
    files = sorted((short_dir / "state" / "spool").glob(f"*{spool.SUFFIX}"))
    spooled = [call for path in files for call in spool.decode(path.read_bytes()).requests]
    assert [method for method, _ in spooled] == kept
    (verbs,) = asked(hung)
    assert verbs[: len(kept)] == kept

"""``clawlog up``: backend and daemon live and end together."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from clawlog.cli import servers
from clawlog.cli.commands import up as up_command
from clawlog.cli.sources.backend import Backend
from process.cli.conftest import Clawlog
from support.installation import Installation, children, is_running, wait_until


class Up:
    """The command, once it has said what it serves."""

    def __init__(self, fresh: Installation, *arguments: str) -> None:
        self.process = fresh.start_clawlog(
            "up", "--port", "0", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        assert self.process.stdout is not None
        self.announced = {}
        for line in self.process.stdout:
            name, _, value = line.decode().strip().partition(" ")
            self.announced[name] = value.strip()
            if name == "Ctrl-C":
                break
        self.pids = children(self.process.pid)

    def pid_of(self, module: str) -> int:
        (found,) = (pid for pid in self.pids if module in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8"))
        return found

    def ends(self) -> tuple[int, str]:
        _, stderr = self.process.communicate(timeout=30)
        wait_until(lambda: not any(map(is_running, self.pids)), "both have ended")
        return self.process.returncode, stderr.decode()


def test_it_says_where_all_is_and_ctrl_c_ends_both_in_order(fresh: Installation) -> None:
    up = Up(fresh)
    assert len(up.pids) == 2
    assert up.announced["state"] == str(fresh.folder)
    assert up.announced["daemon"].startswith(f"{fresh.folder}/run/clawlogd.sock  (pid ")
    with fresh.client() as client:
        task = client.create_task("上线", ["一"])
        assert task.base_url == up.announced["dashboard"]
        assert client.flush().flushed
    assert Backend(up.announced["dashboard"], fresh.env).task(task.task_id).title == "上线"
    os.killpg(up.process.pid, signal.SIGINT)  # as a terminal does
    status, stderr = up.ends()
    assert status == 130
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("clawlog_backend", "the backend was ended by signal 9; the daemon is stopped, too"),
        ("clawlogd", "the daemon was ended by signal 9; the backend is stopped, too"),
    ],
)
def test_when_one_dies_so_does_the_other(fresh: Installation, module: str, said: str) -> None:
    up = Up(fresh)
    os.kill(up.pid_of(module), signal.SIGKILL)
    status, stderr = up.ends()
    assert status == 1
    assert said in stderr


def test_a_daemon_that_runs_already_is_used_and_left_running(fresh: Installation) -> None:
    daemon = fresh.start_daemon()
    up = Up(fresh)
    assert f"(pid {daemon.pid}, already running)" in up.announced["daemon"]
    assert len(up.pids) == 1
    up.process.send_signal(signal.SIGTERM)
    assert up.ends() == (143, "")
    assert fresh.daemon_answers()


def test_a_second_one_says_where_the_first_is_and_can_open_it(
    running: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(up_command.webbrowser, "open", lambda url: not opened.append(url))
    with running.client() as client:
        pid = client.daemon_status()["pid"]
    url = f"http://localhost:{running.backend_port}"
    ran = clawlog(running, "up", "--port", str(running.backend_port), "--open")
    assert (ran.status, ran.stdout) == (0, f"ClawLog already runs: {url} (process {pid})\n")
    assert opened == [url]
    ran = clawlog(running, "up", "--port", str(running.backend_port), "--json")
    assert (ran.status, ran.json["dashboard"], ran.json["pid"], ran.json["ran_already"]) == (0, url, pid, True)


def test_a_port_in_use_is_said_and_nothing_is_left_running(fresh: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = fresh.clawlog("up", "--port", str(port))
    assert ran.status == 69
    assert "clawlog: the backend ended with status 69" in ran.stderr
    assert not fresh.daemon_answers()


def test_the_backend_alone_is_the_same_program(fresh: Installation) -> None:
    backend = fresh.start_clawlog("backend", "--port", "0", "--database", str(fresh.folder / "own.db"), stdout=subprocess.PIPE)
    assert backend.stdout is not None
    url = backend.stdout.readline().decode().strip().partition(": ")[2]
    assert Backend(url, fresh.env).tasks() == ()
    assert (fresh.folder / "own.db").exists()
    backend.send_signal(signal.SIGTERM)
    assert backend.wait(10) == 0


def test_a_daemon_that_a_script_starts_in_the_same_moment_is_used(fresh: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    running = fresh.start_daemon()
    for name, value in fresh.env.items():
        monkeypatch.setenv(name, value)
    ours = servers.daemon(fresh.env, fresh.folder / "ours.log")

    async def start() -> int | None:
        async with ours:
            return await up_command.start_unless_running(ours, fresh.env, "http://127.0.0.1:9")

    assert asyncio.run(start()) == running.pid
    assert running.poll() is None

"""One agent in an empty home folder, with a daemon, the embedded backend, and a model of the tests' own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from agents.real.cache import packages
from agents.real.processes import Family, command_line, until
from agents.real.programs import PROGRAMS, Place
from agents.real.terminal import Terminal
from support.backend_process import BackendProcess
from support.models.script import Script, play
from support.models.server import ModelServer

RUN_LIMIT_S = 120.0
ARRIVAL_S = 20.0
"""Within which what happened has to be at the backend."""

_SETTINGS = """\
base_url = "{url}"

[batch]
min_interval_s = 0

[heartbeat]
interval_s = 1
jitter_s = 0

[shutdown]
deliver_s = 0.5
"""

_SAY = """\
#!/bin/sh
# say NAME [wait|sleep|fail]: the command of the scripts. It lies where the agent works: not every shell of an agent keeps PATH.
# It writes down that it ran; "wait" then waits until it is let go (90 s).
echo "$1" >> ran
echo "$1"
[ -z "$2" ] || : > "$1-runs"
case $2 in
wait) for i in $(seq 900); do [ -e go ] && break; sleep 0.1; done ;;
sleep) sleep 60 ;;
fail) exit 3 ;;
esac
"""

Task = dict[str, Any]


class Run:
    """One run of the agent."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    def wait(self, limit_s: float = RUN_LIMIT_S) -> int:
        """Its exit status, once it has ended."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the agent did not end within {limit_s:.0f} s:\n{self.text[-2000:]}") from None

    @property
    def text(self) -> str:
        """What it said."""
        return self.output.read_text(encoding="utf-8", errors="replace")


class Rig:
    """Everything that a scenario needs of one agent; a context manager.

    Args:
        name: The agent.
        scripts: What the model can play.

    Attributes:
        home, project: The agent's home folder, and where it works.
        trusted: What was added to the agent's settings when its question was answered whether the hooks may run.
    """

    def __init__(self, name: str, *scripts: Script) -> None:
        self.program = PROGRAMS[name]
        self.name = name
        self.trusted = ""
        self.model = ModelServer(*scripts)
        self._stack = contextlib.ExitStack()
        self._runs = 0
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agent", ignore_cleanup_errors=True)))
            self.home, self.project, self._bin = (self.folder / name for name in ("home", "project", "bin"))
            for each in (self.home, self.project, self._bin, self.folder / "backend", self.folder / "tmp"):
                each.mkdir(mode=0o700)
            self._family = Family(self.folder)
            self.backend = BackendProcess(self.folder / "backend")
            self.backend.start()
            stack.callback(self.backend.stop)
            stack.callback(self._family.end)
            stack.enter_context(self.model)
            self.place = Place(self.home, self.project, self.model.url)
            self.program.write_settings(self.place)
            self.program.link(self._bin)
            (self.project / "say").write_text(_SAY, encoding="utf-8")
            (self.project / "say").chmod(0o755)
            self._write_configuration()
            self._make_checkout()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # ── The agent ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def env(self) -> dict[str, str]:
        """What the agent finds in its environment: nothing of this machine's user."""
        node = packages()["node"].find()
        assert node is not None
        path = f"{self._bin}:{node.parent}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        own = {"HOME": str(self.home), "TMPDIR": str(self.folder / "tmp")}  # agents leave libraries and sockets there
        basic = {"PATH": path, "LANG": "C.UTF-8", "TERM": "xterm", **own}
        return {**basic, **self.program.env(self.place)}

    def start(self, script: str, *, say: str = "Go", resumed: bool = False) -> Run:
        """Starts the agent with a person's prompt that chooses a script."""
        self._runs += 1
        output = self.folder / f"run-{self._runs}.txt"
        command = [str(self._bin / self.program.command_name), *self.program.arguments(f"{say} {play(script)}", resumed)]
        return Run(self._family.start(command, env=self.env, cwd=self.project, output=output), output)

    def start_in(self, terminal: Terminal, script: str, *, say: str = "Go") -> Run:
        """Starts the agent in a terminal, as a person does."""
        assert self.program.in_terminal is not None, f"{self.name} is not run in a terminal"
        arguments = self.program.in_terminal.arguments(f"{say} {play(script)}")
        command = [str(self._bin / self.program.command_name), *arguments]
        env = {**self.env, "TERM": "xterm-256color"}
        output = self.folder / "terminal.txt"
        output.touch()
        far_end = terminal.far_end
        return Run(self._family.start_at(command, env=env, cwd=self.project, stdin=far_end, output=far_end), output)

    def run(self, script: str, *, say: str = "Go", resumed: bool = False) -> Run:
        """Runs the agent to its end."""
        run = self.start(script, say=say, resumed=resumed)
        run.wait()
        return run

    def is_agent(self, run: Run) -> list[int]:
        """The processes that are the agent itself: some start themselves a second time."""
        return self._family.like(run.process.pid)

    def kill_agent(self, run: Run) -> None:
        """SIGKILL, to each process that is the agent itself; the commands that it runs live on."""
        for pid in self.is_agent(run):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.wait(10)

    def ran(self) -> list[str]:
        """What the script's commands wrote: each writes its name when it runs."""
        file = self.project / "ran"
        return file.read_text(encoding="utf-8").split() if file.exists() else []

    def commands(self) -> list[int]:
        """The script's commands that run, whoever their parents are by now."""
        return [pid for pid in self._family.members() if b"./say " in command_line(pid) and b"sh" in command_line(pid)[:10]]

    def until_there(self, name: str, limit_s: float = RUN_LIMIT_S) -> None:
        """Waits for a file of the project, which one of the script's commands makes."""
        until((self.project / name).exists, limit_s, f"the agent's command to make {name}")

    def let_go(self, name: str = "go") -> None:
        """Makes a file that one of the script's commands waits for."""
        (self.project / name).touch()

    # ── What is installed for it ────────────────────────────────────────────────────────────────────────────────────

    def clawlog(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs ``clawlog`` as the agent's user."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("clawlog")), *arguments],
            env=self.env,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def install(self, *flags: str) -> None:
        """``clawlog install hooks`` for this agent."""
        done = self.clawlog("install", "hooks", self.name, "--with-plans", *flags)
        assert done.returncode == 0, f"install hooks ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        self.trusted = self.program.trust(self.place)

    def files(self) -> dict[str, bytes]:
        """The files of the home folder that are the agent's settings, by their paths in it."""
        known = [".claude", ".codex", ".gemini", ".qwen", ".copilot", ".config/opencode", ".openclaw"]
        roots = [self.home / each for each in known if (self.home / each).exists()]
        found = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.home)): path.read_bytes() for path in sorted(found)}

    # ── The daemon ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "clawlog"

    def start_daemon(self) -> None:
        command = [sys.executable, "-m", "clawlogd"]
        self._daemon = self._family.start(command, env=self.env, cwd=self.home, output=self.folder / "daemon.txt")
        until(self.daemon_answers, ARRIVAL_S, "the daemon to answer")

    def kill_daemon(self) -> None:
        assert self._daemon is not None, "not started"
        self._daemon.kill()
        self._daemon.wait()

    def daemon_answers(self) -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return bool(self.call("daemon.status"))
        return False

    def call(self, method: str, **params: Any) -> Any:
        """The result of one verb."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.state / "run" / "clawlogd.sock"))
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                return json.loads(answers.readline())["result"]

    def held(self) -> list[str]:
        """The sessions of this agent that are to be held."""
        folder = self.state / "run" / "agent-stops" / self.name
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def _make_checkout(self) -> None:
        """Makes the agent's folder a checkout, as far as git wants it: the folder's name is then the project's."""
        for name in ("objects", "refs"):
            (self.project / ".git" / name).mkdir(parents=True)
        (self.project / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")

    def _write_configuration(self) -> None:
        file = self.home / ".config" / "clawlog" / "clawlog.toml"
        file.parent.mkdir(parents=True)
        file.write_text(_SETTINGS.format(url=self.backend.url), encoding="utf-8")

    # ── What the person sees ────────────────────────────────────────────────────────────────────────────────────────

    def tasks(self) -> list[Task]:
        """The tasks at the backend, whole, oldest first."""
        listed = self.backend.call("GET", "/api/tasks?limit=50")["tasks"]
        return [self.task(each["task_id"]) for each in reversed(listed)]

    def task(self, task_id: str) -> Task:
        return dict(self.backend.call("GET", f"/api/tasks/{task_id}"))

    def only_task(self) -> Task:
        tasks = self.tasks()
        assert len(tasks) == 1, f"{len(tasks)} tasks, not 1: {[each['title'] for each in tasks]}"
        return tasks[0]

    def until_task(self, is_so: Callable[[Task], object], what: str, *, which: str = "", limit_s: float = ARRIVAL_S) -> Task:
        """Waits until the task whose title holds a text is so."""
        found: list[Task] = []

        def look() -> bool:
            with contextlib.suppress(urllib.error.URLError):
                found[:] = [task for task in self.tasks() if which in task["title"]]
            return bool(found) and bool(is_so(found[0]))

        try:
            until(look, limit_s, what)
        except AssertionError as error:
            error.add_note(f"the tasks were: {[brief(each) for each in self.tasks()]}")
            raise
        return found[0]

    def press_stop(self, task_id: str, reason: str = "Enough") -> float:
        """What the page's button does.

        Returns:
            When it was pressed, in seconds of the wall clock.
        """
        pressed = time.time()
        body = {"mode": "soft_stop", "reason": reason, "requested_by": "a person"}
        self.backend.call("POST", f"/api/tasks/{task_id}/interrupt", body)
        return pressed

    def diagnosis(self) -> str:
        """What helps to understand a failure."""
        parts = [f"tasks: {[brief(each) for each in self.tasks()]}", f"played: {self.model.played}", f"ran: {self.ran()}"]
        logs = [*sorted(self.folder.glob("run-*.txt")), self.folder / "daemon.txt", self.state / "clawlogd.log"]
        parts += [f"── {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists()]
        return "\n".join(parts)


def brief(task: Task) -> dict[str, Any]:
    """The parts of a task that a failure is understood by."""
    return {
        "title": task["title"],
        "status": task["status"],
        "summary": task["summary"],
        "liveness": task["liveness"]["state"],
        "steps": [f"{step['title']}: {step['status']}" for step in task["steps"]],
        "events": [event_text(event) for event in task["events"]],
        "stop": task["stop"],
    }


def event_text(event: dict[str, Any]) -> str:
    """An event of the history in one line."""
    own = [str(event[name]) for name in ("status", "summary", "title") if event.get(name)]
    return " ".join([str(event["kind"]), *own])[:120]

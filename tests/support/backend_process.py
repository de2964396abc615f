"""A real backend as a process of its own, and the calls that agents and the sidecar would make to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.daemon_process import LOOP

START_LIMIT_S = 20.0


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(seconds: float) -> str:
    """The RFC 3339 time so many seconds ago."""
    return rfc3339(datetime.now(UTC) - timedelta(seconds=seconds))


class BackendProcess:
    """`python -m clawlog_backend`, its address, and its HTTP contract as seen by a client.

    Args:
        folder: Where its database and its log go.
        token: The access token that it wants, if any.
        root_path: The path below which it is shown.
        plain_only: Whether it lacks the batch routes.
        database: The URL of its database; a file in the folder if there is none.
        config: Its settings' file, if any.
        flags: Further flags.
        loop: Its event loop.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None = None,
        root_path: str = "",
        plain_only: bool = False,
        database: str | None = None,
        config: Path | None = None,
        flags: Sequence[str] = (),
        loop: str = LOOP,
    ) -> None:
        self._folder = folder
        self._database = database
        self._program = ["-P", str(Path(__file__).with_name("plain_backend.py"))] if plain_only else ["-m", "clawlog_backend"]
        self._flags = ["--root-path", root_path] if root_path else []
        self._flags += ["--config", str(config)] if config else []
        self._flags += flags
        self._token = token
        self._loop = loop
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_path(self) -> Path:
        return self._folder / "backend.db"

    def start(self) -> None:
        """Start it, the second time on the port that it had before, and wait until it answers."""
        self.spawn()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._process is not None, "it is not running"
        deadline = time.monotonic() + START_LIMIT_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the backend did not start:\n{(self._folder / 'backend.log').read_text()}")
            time.sleep(0.05)

    def spawn(self) -> None:
        """Start it, without waiting."""
        port_file = self._folder / "port"
        port_file.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLAWLOG_", "COVERAGE"))}
        environment["CLAWLOG_LOOP"] = self._loop
        if self._token is not None:
            environment["CLAWLOG_TOKEN"] = self._token
        command = [sys.executable, *self._program, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--database", self._database or str(self.database_path), "--port-file", str(port_file), *self._flags]
        with (self._folder / "backend.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    @property
    def exit_status(self) -> int | None:
        """How it ended by itself; None while it runs, or after somebody ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def had_started(self) -> bool:
        """Whether it has listened since it was started last."""
        return (self._folder / "port").exists()

    def answers(self) -> bool:
        """Whether it answers; notes its port."""
        try:
            self.port = int((self._folder / "port").read_text())
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, ValueError):
            return False

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it is not running"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    # ── The contract ────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def create(self, title: str, *steps: str, **fields: Any) -> Task:
        reply = self.call("POST", "/api/tasks", {"title": title, "steps": [{"title": step} for step in steps], **fields})
        return Task(self, reply["task_id"], [step["step_id"] for step in reply["steps"]])

    def send(self, *events: dict[str, Any]) -> None:
        """Send events as the sidecar does; each gets an id and, where it has none, the present time."""
        whole = [{"event_id": str(uuid.uuid4()), "at": ago(0), **event} for event in events]
        results = self.call("POST", "/api/events", {"events": whole})["results"]
        refused = [result for result in results if result["status"] != "ok"]
        assert not refused, refused


class Task:
    """A task at the backend, as its agent and its sidecar see it."""

    def __init__(self, backend: BackendProcess, task_id: str, step_ids: list[str]) -> None:
        self.backend = backend
        self.id = task_id
        self.steps = step_ids

    @property
    def path(self) -> str:
        return f"/tasks/{self.id}"

    def step(self, position: int, status: str, summary: str | None = None, **fields: Any) -> None:
        self._send("step_status", step_id=self.steps[position - 1], status=status, summary=summary, **fields)

    def status(self, status: str, summary: str | None = None, **fields: Any) -> None:
        self._send("task_status", status=status, summary=summary, **fields)

    def beat(self, *, reported_ago: float = 3, evidence: str = "process", stalled: bool = False, **fields: Any) -> None:
        self._send("heartbeat", agent_seen_at=ago(reported_ago), evidence=evidence, stalled=stalled, **fields)

    def lose(self, summary: str) -> None:
        self._send("agent_lost", summary=summary)

    def request_stop(self, **fields: Any) -> None:
        self.backend.call("POST", f"/api/tasks/{self.id}/interrupt", {"mode": "soft_stop", **fields})

    @property
    def interrupt_id(self) -> str:
        """The id of the stop that was asked for, as the sidecar learns it by polling."""
        control = self.backend.call("GET", f"/api/tasks/{self.id}/control")
        assert control["interrupt_requested"] is True
        return str(control["interrupt_id"])

    def receipt(self, kind: str, **fields: Any) -> None:
        self._send(kind, interrupt_id=self.interrupt_id, **fields)

    def _send(self, kind: str, **fields: Any) -> None:
        present = {name: value for name, value in fields.items() if value is not None}
        self.backend.send({"kind": kind, "task_id": self.id, **present})

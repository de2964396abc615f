"""Two backends over one PostgreSQL database, a balancer before them, and a page that reads their stream."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from support.backend_process import BackendProcess
from support.balancer import Balancer
from support.nginx import SHIPPED, Nginx
from support.postgres_cluster import PostgresCluster


class Replicas:
    """Two replicas, their database and their balancer; to be used in a ``with`` block.

    Args:
        folder: Where logs go.
        nginx: Whether the balancer is nginx, as it is shipped, and not one of the tests' own.
        flags: Further flags of both.
    """

    def __init__(self, folder: Path, *, nginx: bool = False, flags: Sequence[str] = ()) -> None:
        self._folder = folder
        self._nginx = nginx
        self.cluster = PostgresCluster()
        self.cluster.start()
        self.name = "replicas"
        self.cluster.execute(f"CREATE DATABASE {self.name}")
        self.backends = []
        for place in ("a", "b"):
            (folder / place).mkdir()
            self.backends.append(BackendProcess(folder / place, database=self.cluster.url(self.name), flags=flags))
        self.balancer: Balancer | Nginx | None = None

    @property
    def url(self) -> str:
        """Where the balancer listens."""
        assert self.balancer is not None, "it is not running"
        return self.balancer.url

    def __enter__(self) -> Self:
        try:
            for backend in self.backends:  # at once, over a database without tables: one makes them
                backend.spawn()
            for backend in self.backends:
                backend.wait()
            ports = [backend.port for backend in self.backends]
            self.balancer = Nginx(SHIPPED[0], ports, self._folder).__enter__() if self._nginx else Balancer(lambda: ports)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.balancer is not None:
            self.balancer.close()
        for backend in self.backends:
            backend.kill()
        self.cluster.remove()

    def call(self, method: str, path: str, body: Any = None, *, tries: int = 100) -> Any:
        """A request by way of the balancer, tried again with the same key until it is answered."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
        data = None if body is None else json.dumps(body).encode()
        pause = threading.Event()
        for left in reversed(range(tries)):
            request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.load(answer)
            except (OSError, ValueError) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code != 503
                if refused or not left:
                    raise
                pause.wait(0.1)
        raise AssertionError("unreachable")

    def restart_database(self, how: signal.Signals) -> None:
        """End the server, as a crash does or in order, and start it again."""
        self.cluster.stop(how)
        self.cluster.start()


class Page(threading.Thread):
    """Reads the stream as the dashboard does: resumes where it was, and loads all anew where it is told to."""

    def __init__(self, replicas: Replicas) -> None:
        super().__init__(name="page", daemon=True)
        self._replicas = replicas
        self._last = ""
        self._ended = threading.Event()
        self.tasks: dict[str, Any] = {}
        self.connections = self.reloads = 0

    def run(self) -> None:
        self._reload()
        while not self._ended.is_set():
            headers = {"Last-Event-ID": self._last} if self._last else {}
            request = urllib.request.Request(f"{self._replicas.url}/api/stream", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.connections += 1
                    self._read(answer)
            except (OSError, http.client.HTTPException):  # its replica ended in the middle of the answer
                self._ended.wait(0.05)

    def end(self) -> None:
        self._ended.set()
        self.join(40)

    def _read(self, answer: Any) -> None:
        name = ""
        for line in answer:
            if self._ended.is_set():
                return
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "id":
                self._last = value
            elif key == "event":
                name = value
                if name == "reset":
                    self.reloads += 1
                    self._reload()
            elif key == "data" and name == "task":
                task = json.loads(value)
                self.tasks[task["task_id"]] = state(task)

    def _reload(self) -> None:
        self.tasks = everything(self._replicas)


def state(task: dict[str, Any]) -> tuple[Any, ...]:
    """What a page is told of a task at once: how it stands."""
    # A message leaves out what is null.
    attention, stop = task.get("attention") or {}, task.get("stop") or {}
    return task["status"], task["progress"], attention.get("reason"), stop.get("interrupt_id")


def everything(replicas: Replicas) -> dict[str, Any]:
    """Every task, as the list has it."""
    found, cursor = {}, ""
    while True:
        page = replicas.call("GET", f"/api/tasks?limit=200{cursor}")
        found |= {task["task_id"]: state(task) for task in page["tasks"]}
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"

"""A daemon with canned answers, on real sockets: what the client's tests talk to.

It serves the Unix socket's lines and ZeroMQ (ipc, or tcp with CURVE), keeps every request it got, and answers by verb. A test
may replace any answer, by a result, an ``RpcError``, a function of the parameters, or one of ``Trick``.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import zmq

from clawlog.protocol import jsonrpc
from clawlog.protocol.errors import METHOD_NOT_FOUND, RpcError
from clawlog.protocol.framing import LineReader

NO_STOP = {
    "state": "none",
    "interrupt_requested": False,
    "interrupt_id": None,
    "mode": None,
    "reason": None,
    "requested_at": None,
    "age_s": 0.25,
}
STOP = {
    "state": "requested",
    "interrupt_requested": True,
    "interrupt_id": "stop-1",
    "mode": "soft_stop",
    "reason": "wrong branch",
    "requested_at": "2026-01-02T03:04:05.678Z",
    "age_s": 0.5,
}
UNKNOWN = {**NO_STOP, "state": "unknown", "age_s": None}


class Trick(Enum):
    """What it does instead of answering."""

    SILENCE = auto()
    HANG_UP = auto()
    GARBAGE = auto()


def _created(params: Mapping[str, Any]) -> dict[str, Any]:
    titles = [each if isinstance(each, str) else each["title"] for each in params.get("steps", [])]
    return {
        "task_id": params["task_id"],
        "title": params["title"],
        "base_url": params.get("base_url", "http://localhost:8000"),
        "steps": [
            {"step_id": f"{params['task_id']}-{n}", "position": n, "title": title, "status": "pending"}
            for n, title in enumerate(titles, 1)
        ],
    }


def _accepted(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"accepted": True, "event_id": params["event_id"], "pending": 1}


def _planned(params: Mapping[str, Any]) -> dict[str, Any]:
    steps = [
        {
            "step_id": each.get("step_id", f"s-{n}"),
            "position": n,
            "title": each["title"],
            "status": each.get("status", "pending"),
        }
        for n, each in enumerate(params["steps"], 1)
    ]
    return {**_accepted(params), "steps": steps}


def _added(params: Mapping[str, Any]) -> dict[str, Any]:
    step = {"step_id": params.get("step_id", "added"), "position": 9, "title": params["title"], "status": "pending"}
    return {**_accepted(params), "step": step}


def _default_answers() -> dict[str, Any]:
    return {
        "task.create": _created,
        "task.update": _accepted,
        "task.plan": _planned,
        "task.annotate": _accepted,
        "task.link": _accepted,
        "step.add": _added,
        "task.get": lambda params: {"task_id": params["task_id"], "status": "running"},
        "task.list": {"tasks": []},
        "step.update": _accepted,
        "task.heartbeat": {"accepted": True, "next_in_s": 15.0},
        "interrupt.check": NO_STOP,
        "interrupt.watch": NO_STOP,
        "interrupt.ack": _accepted,
        "daemon.status": {"version": "0", "protocol": 1},
        "daemon.flush": {"flushed": True, "pending": 0},
        "deadletter.list": {"dead_letters": []},
        "deadletter.retry": {"dead_letters": []},
        "deadletter.drop": {"dead_letters": []},
    }


@dataclass
class ReceivedRequest:
    """A request that was received."""

    method: str
    params: dict[str, Any]


@dataclass
class ScriptedDaemon:
    """The state of one scripted daemon.

    Attributes:
        address: The value of ``CLAWLOG_SOCKET`` that reaches it.
        requests: The requests so far, in order.
        answers: By verb.
        connections: How many were taken so far.
    """

    address: str
    requests: list[ReceivedRequest] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=_default_answers)
    connections: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _push: list[Callable[[bytes], None]] = field(default_factory=list)
    _hang_up: Callable[[], None] = lambda: None

    @property
    def methods(self) -> list[str]:
        return [each.method for each in self.requests]

    def only(self, method: str) -> dict[str, Any]:
        """The parameters of the one request for this verb."""
        (params,) = [each.params for each in self.requests if each.method == method]
        return params

    def wait_for(self, method: str, count: int = 1, timeout_s: float = 10.0) -> None:
        """Waits until a verb was requested so often."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.methods.count(method) >= count, timeout_s):
                raise AssertionError(f"{method} was requested {self.methods.count(method)} times, not {count}: {self.methods}")

    def push(self, **stop: Any) -> None:
        """Pushes a change to every watcher."""
        self.answers["interrupt.watch"] = stop
        with self._changed:
            watchers = list(self._push)
        for send in watchers:
            send(jsonrpc.encode_notification("interrupt.changed", {"task_id": "any", **stop}))

    def hang_up(self) -> None:
        """Closes all connections, and goes on listening."""
        self._hang_up()

    def reply(self, message: bytes, send: Callable[[bytes], None]) -> bool:
        """Answers one message; returns whether the connection goes on."""
        request = jsonrpc.decode(message)
        assert isinstance(request, jsonrpc.Request), message
        answer = self.answers.get(request.method, RpcError(METHOD_NOT_FOUND, request.method))
        with self._changed:
            self.requests.append(ReceivedRequest(request.method, dict(request.params)))
            self._changed.notify_all()
        if callable(answer):
            answer = answer(request.params)
        if answer is Trick.HANG_UP:
            return False
        if request.is_notification:
            return True
        if answer is Trick.SILENCE:
            return True
        if answer is Trick.GARBAGE:
            send(b"220 mail.example ESMTP")
            return True
        if isinstance(answer, RpcError):
            send(jsonrpc.encode_error(request.id, answer))
            return True
        with self._changed:  # so that no push comes before the answer, or is missed after it
            send(jsonrpc.dumps({"jsonrpc": "2.0", "id": request.id, "result": answer}))
            if request.method == "interrupt.watch":
                self._push.append(send)
        return True


class _LineServer:
    """One thread that serves lines to any number of connections."""

    def __init__(self, path: str) -> None:
        self.daemon = ScriptedDaemon(path, _hang_up=self.hang_up)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(128)
        self._control, self._commands = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._commands, selectors.EVENT_READ)
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def hang_up(self) -> None:
        """Closes every connection, and returns when that is done."""
        self._control.sendall(b"hang up")
        assert self._control.recv(100) == b"done"

    def stop(self) -> None:
        """Ends the thread and closes everything."""
        self._control.sendall(b"stop")
        self._thread.join()
        for each in (self._listener, self._control, self._commands, self._selector):
            each.close()
        Path(self.daemon.address).unlink()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._commands:
                    command = self._commands.recv(100)
                    for connection in list(self._connections):
                        self._close(connection)
                    if command == b"stop":
                        return
                    self._commands.sendall(b"done")
                elif key.fileobj in self._connections:
                    self._serve(key.fileobj, key.data)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self.daemon.connections += 1
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, LineReader(max_line_bytes=1 << 24))

    def _serve(self, connection: socket.socket, reader: LineReader) -> None:
        def send(message: bytes) -> None:
            with contextlib.suppress(OSError):  # a watcher that has gone
                connection.sendall(message + b"\n")

        try:
            data = connection.recv(1 << 20)
        except OSError:
            data = b""
        if not data or not all(self.daemon.reply(line, send) for line in reader.feed(data)):
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._connections.remove(connection)
        self._selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextlib.contextmanager
def on_unix_socket(path: str) -> Iterator[ScriptedDaemon]:
    """Serves lines on a Unix socket until the context ends."""
    server = _LineServer(path)
    try:
        yield server.daemon
    finally:
        server.stop()


@dataclass(frozen=True)
class CurveKeys:
    """The server's pair and the one client's."""

    server_public: bytes
    server_secret: bytes
    client_public: bytes
    client_secret: bytes

    @classmethod
    def new(cls) -> CurveKeys:
        return cls(*zmq.curve_keypair(), *zmq.curve_keypair())


@contextlib.contextmanager
def on_zeromq(endpoint: str, keys: CurveKeys | None = None) -> Iterator[ScriptedDaemon]:
    """Serves a ROUTER until the context ends; ``tcp://127.0.0.1:*`` picks a port."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.PAIR) as quit_there:
        router.linger = quit_there.linger = 0
        if keys is not None:
            router.curve_server = True
            router.curve_secretkey = keys.server_secret
        router.bind(endpoint)
        daemon = ScriptedDaemon("zmq:" + router.getsockopt_string(zmq.LAST_ENDPOINT))
        quit_there.bind("inproc://quit")

        def run() -> None:
            poller = zmq.Poller()
            poller.register(router, zmq.POLLIN)
            poller.register(quit_there, zmq.POLLIN)
            while True:
                for ready, _ in poller.poll():
                    if ready is quit_there:
                        return
                    peer, *_, message = router.recv_multipart()
                    daemon.reply(message, lambda reply, peer=peer: router.send_multipart([peer, reply]))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield daemon
        finally:
            with context.socket(zmq.PAIR) as quit_here:
                quit_here.connect("inproc://quit")
                quit_here.send(b"")
                thread.join()


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Polls a condition that no event announces."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not come true in time")
        time.sleep(0.005)

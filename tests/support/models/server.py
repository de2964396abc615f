"""The server: HTTP on 127.0.0.1, each request answered by the protocol of its path."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.models import anthropic, chat, gemini, responses
from support.models.player import Answer, Request, answer
from support.models.script import LOOKING_AROUND, PLAIN, Script

MAX_BODY_BYTES = 32 * 2**20
_MODELS = {"object": "list", "data": [{"id": "fake-model", "object": "model", "created": 0, "owned_by": "tests"}]}
_TOKENS = {"totalTokens": 10, "input_tokens": 10}


@dataclass(frozen=True, slots=True)
class _Protocol:
    """How a request of one protocol is read, and an answer written."""

    read: Callable[[str, dict[str, Any]], Request]
    whole: Callable[[Answer, str], dict[str, Any]]
    stream: Callable[[Answer, str], list[tuple[str | None, Any]]]


_PROTOCOLS = {
    path: _Protocol(module.read, module.whole, module.stream)
    for module in (anthropic, responses, chat, gemini)
    for path in module.PATHS
}


@dataclass(frozen=True, slots=True)
class Played:
    """A turn that was played.

    Attributes:
        script: Of which script.
        number: Which.
        at: When it was asked for, in seconds of the wall clock.
        tools: The tools that it used.
    """

    script: str
    number: int
    at: float
    tools: tuple[str, ...] = ()


class ModelServer:
    """A model server in a thread, on a free port; a context manager.

    Args:
        scripts: What it can play, besides a subagent's; the first where none is chosen.

    Attributes:
        played: The turns that it played, in order.
    """

    def __init__(self, *scripts: Script) -> None:
        self.scripts = {script.name: script for script in (*(scripts or (PLAIN,)), LOOKING_AROUND)}
        self.played: list[Played] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (_Handler,), {"model": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, name="model", kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer:
        found = answer(request, self.scripts)
        if found.script is not None:
            tools = tuple(call.tool for call in found.calls)
            self.played.append(Played(found.script, found.number, time.time(), tools))
        return found


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    model: ModelServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # an agent that is killed just goes away
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The list of models: some agents look whether theirs is there."""
        self._send_json(_MODELS)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send_json({"error": {"message": f"longer than {MAX_BODY_BYTES} bytes"}}, 413)
            return
        raw = self.rfile.read(length)
        path = self.path.partition("?")[0]
        protocol = next((each for end, each in _PROTOCOLS.items() if path.endswith(end)), None)
        if protocol is None:  # a count of tokens, or telemetry
            self._send_json(_TOKENS)
            return
        try:
            request = protocol.read(path, json.loads(raw))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            self._send_json({"error": {"message": f"not a request of this protocol: {error!r}"}}, 400)
            return
        said = self.model.answer(request)
        time.sleep(said.delay_s)
        if request.streamed:
            self._send_stream(protocol.stream(said, request.model))
        else:
            self._send_json(protocol.whole(said, request.model))

    def _send_stream(self, events: list[tuple[str | None, Any]]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for name, data in events:
            lines = [f"event: {name}"] if name else []
            lines.append(f"data: {data if isinstance(data, str) else json.dumps(data)}")
            self.wfile.write(("\n".join(lines) + "\n\n").encode())

    def _send_json(self, tree: Any, status: int = 200) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

"""Hostile callers: what a daemon does with lines of every kind, and with callers that leave in the middle of one."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from faults.daemon import Daemon
from faults.registry import fault
from faults.rig import Rig
from support.floods import ROOM_BYTES
from support.hostile_callers import Lines

_TOGETHER = 100
_LINES = (1_000, 120_000)  # in the quick form, and in the long


class _TakesAll(BaseHTTPRequestHandler):
    """A plain backend that knows every task and wants nothing to stop."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        known = not self.path.startswith(("/api/events", "/api/control"))
        answer: dict[str, Any] = {"task_id": body.get("task_id", "t"), "interrupt_requested": False}
        content = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the library's names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        del format, arguments


@fault("callers: lines of every kind", timeout_s=120)
def hostile_lines(rig: Rig) -> None:
    rig.daemon.start()
    rig.send(10, agents=2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _TakesAll)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        env = {"CLAWLOG_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}", "CLAWLOG_TASKS_MAX_KNOWN": "300"}
        daemon = rig.make_daemon(env=env)
        daemon.start()
        before = daemon.status()["memory_bytes"]
        count = rig.scale(*_LINES)
        for number in range(count // _TOGETHER):
            rig.progress(f"{number * _TOGETHER:,} of {count:,} lines")
            _exchange(daemon, Lines(number), f"mark{number}")
        grown = daemon.status()["memory_bytes"] - before
        assert grown < ROOM_BYTES, f"{grown} bytes more"
        assert "Traceback" not in daemon.log_path.read_text()
        assert daemon.stop() == 0
    finally:
        server.shutdown()
        server.server_close()
    rig.notes["lines"], rig.notes["grown, MiB"] = count, round(grown / 2**20)
    rig.recover()


def _exchange(daemon: Daemon, lines: Lines, mark: str) -> None:
    """Sends lines over a connection of its own; each that is certain of an answer must have its one."""
    sent = [lines.next() for _ in range(_TOGETHER)]
    due = {name for _, name in sent if name is not None} | {mark}
    end = json.dumps({"jsonrpc": "2.0", "id": mark, "method": "task.get", "params": {"task_id": "t"}}).encode()
    data = b"".join(line + b"\n" for line, _ in sent) + end + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(daemon.socket_path))
        # From a thread of its own: the daemon reads no more from one that does not read its answers.
        threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()
        for reply in connection.makefile("rb"):
            got = json.loads(reply)
            for each in got if isinstance(got, list) else [got]:
                assert "error" not in each or each["error"]["code"] != -32603, each
                if isinstance(name := each.get("id"), str):
                    due.discard(name)
            if mark not in due:
                break
    assert not due, f"requests without an answer: {sorted(due)[:5]}"

"""Callers that send without end and read nothing, and what a process holds for them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
ROOM_BYTES = 64 * MIB
"""By how much a daemon may grow under any attack."""


def request(number: int, method: str, **params: Any) -> bytes:
    """One request as a line."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def padded(number: int, size_bytes: int) -> bytes:
    """A request of a given length, most of it text that means nothing."""
    empty = request(number, "task.get", task_id="t", padding="")
    return request(number, "task.get", task_id="t", padding="x" * (size_bytes - len(empty)))


def memory_bytes(pid: int) -> int:
    """What a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


class Flood:
    """A connection that is written to for as long as the other side takes it, and never read from.

    Attributes:
        sent_bytes: How much was taken.
        closed: Whether the other side has hung up.
    """

    def __init__(self, path: Path) -> None:
        self.sent_bytes = 0
        self.closed = False
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.setblocking(False)

    def send(self, data: bytes, *, patience_s: float = 0.3) -> None:
        """Sends; gives up what is not taken within the patience."""
        rest = memoryview(data)
        until = time.monotonic() + patience_s
        while rest and time.monotonic() < until:
            try:
                sent = self._socket.send(rest[: 256 * 1024])
            except BlockingIOError:
                select.select([], [self._socket], [], 0.02)
            except OSError:
                self.closed = True
                return
            else:
                rest = rest[sent:]
                self.sent_bytes += sent
                until = time.monotonic() + patience_s

    def close(self) -> None:
        """Hangs up."""
        with contextlib.suppress(OSError):
            self._socket.close()

"""Questions to the daemon as the scripts ask theirs, at a fraction of the client's start-up: where all is as usual.

It says of nothing what is wrong: whoever is not answered here asks with the client, which does. It must stay light.
"""

from __future__ import annotations

import json
import os
from _socket import AF_UNIX, SOCK_STREAM, socket
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a third of Python's start
    from typing import Any

TIMEOUT_S = 1.0
"""For how long the daemon is waited for; the command itself waits longer, and says that it did not answer."""
_MAX_BYTES = 64 * 1024 * 1024
_MAX_PATH_BYTES = 107

STATUS: tuple[str, Mapping[str, object]] = ("daemon.status", {})


def is_path(address: str) -> bool:
    """Whether an address is the path of a Unix socket; ZeroMQ's and what is none are the command's own matter."""
    return address.startswith("/") and len(os.fsencode(address)) <= _MAX_PATH_BYTES


def exchange(path: str, requests: Sequence[tuple[str, Mapping[str, object]]]) -> list[Any]:
    """Sends requests at once and returns their results.

    Args:
        path: The daemon's socket.
        requests: Each with its method and parameters.

    Raises:
        OSError: It did not answer.
        LookupError: It refused, as one of an earlier version may.
    """
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for number, (method, params) in enumerate(requests)
    ]
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall("".join(f"{line}\n" for line in lines).encode())
        received = bytearray()
        while received.count(b"\n") < len(lines):
            chunk = connection.recv(1 << 18)
            if not chunk or len(received) > _MAX_BYTES:
                raise OSError("no whole answer")
            received += chunk
    finally:
        connection.close()
    answers = {each["id"]: each["result"] for each in map(json.loads, received.splitlines())}
    return [answers[number] for number in range(len(lines))]

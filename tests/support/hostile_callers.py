"""Lines that a caller may send, made from a seed: sound ones, nearly sound ones, and ones that are nothing at all."""

from __future__ import annotations

import json
import random
from typing import Any

METHODS = (
    "task.create",
    "task.update",
    "task.get",
    "task.list",
    "task.heartbeat",
    "step.update",
    "interrupt.check",
    "interrupt.watch",
    "interrupt.ack",
    "daemon.status",
    "deadletter.list",
    "deadletter.retry",
    "deadletter.drop",
    "rpc.discover",
    "",
)
FIELDS: dict[str, tuple[Any, ...]] = {
    "title": ("T", "部署", "x" * 200, "x" * 201, " ", "\u202eabc", "a\x1b[2Jb", "\ud800", None, 7, ["T"]),
    "task_id": ("t", "u", "..", ".", "a/b", "../../etc", "x" * 64, "x" * 65, "", "t\n", None, 1, True, {"t": 1}),
    "steps": (
        [],
        ["one", "two"],
        ["x"] * 200,
        ["x"] * 201,
        [""],
        [{"title": "s", "step_id": "s"}],
        [{"step_id": "s"}],
        [1],
        "one",
    ),
    "step": (1, "1", "one", 0, -1, 2**63, 10**30, "²", "", 1.0, None, True),
    "status": ("running", "done", "failed", "interrupted", "pending", "skipped", "DONE", "", None, 1),
    "summary": ("fine", "x" * 5000, "sk-" + "a" * 40, "a\x00b", "\u2028", "\U0001f600" * 200, "\udfff", None, 1, {}),
    "event_id": (
        "01a2186d-0a8f-7fce-8c37-fdd1843f3437",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "x",
        "",
        None,
        1,
    ),
    "base_url": ("ftp://x", "http://", "http://[", "http://a:99999", "x" * 2001, None),
    "watch_pid": (1, 2**31 - 1, 2**31, 0, -1, "1", 1.5, None),
    "lease_s": (5, 120, 3600, 0, -1, 1e308, "5", None),
    "metadata": ({}, {"a": "b"}, {"": ""}, {"k" * 65: "v"}, {"k": "v" * 1001}, {str(n): "v" for n in range(21)}, {"a": 1}, []),
    "max_age_s": (0, 5, 86_400, 86_401, -1, "5"),
    "wait_s": (0, 0.001, 301, -1, "1"),
    "interrupt_id": ("stop", "", "x" * 65, "a\nb", None, 1),
    "active": (True, False, None, 1, "true"),
    "limit": (1, 100, 0, -1, 10**9, 10**30, "1"),
    "cursor": ("", "x", "1.t", "²", "9" * 500, None, 1),
    "event_ids": ([], ["x"], ["01a2186d-0a8f-7fce-8c37-fdd1843f3437"], "all"),
    "all": (True, False, 1),
    "nonsense": (1,),
}
USUAL = (("task_id",), ("title", "task_id", "steps"), ("task_id", "step", "status"), ("task_id", "status"), ())
NO_JSON = (
    b"{",
    b"[",
    b"]",
    b"nul",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"\x00",
    b"NaN",
    b"1e999",
    b"-",
    b'"',
    b"\\",
    b'{"a":1,"a":2}',
    b"[" * 5000,
    b'{"a":' * 5000,
    b"9" * 5000,
    b"{}{}",
    b"GET / HTTP/1.1",
    b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}garbage',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"daemon.status"}',
    b" " * 60_000,
    b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 60_000 + b'"}',
)
NO_REQUEST: tuple[Any, ...] = (
    None,
    True,
    7,
    "text",
    {},
    [],
    [[]],
    [1, 2],
    [{}],
    {"jsonrpc": "2.0"},
    {"id": 1},
    {"method": "task.list"},
)
NOT_STRICT = (b"\\ud800", b"\\udfff", b"0" * 30)
IDS: tuple[Any, ...] = (None, 0, -1, 1.5, 10**30, "", "x" * 1000, True, [], {}, "\ud800")


class Lines:
    """Makes lines.

    Args:
        seed: The same seed makes the same lines.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._number = 0

    def next(self) -> tuple[bytes, str | None]:
        """One line without its end; and the id that exactly one answer to it must bear, where that is certain."""
        dice = self._dice
        kind = dice.random()
        if kind < 0.55:
            return self._request()
        if kind < 0.65:
            return _encode(dice.choice(NO_REQUEST)), None
        if kind < 0.72:
            return dice.choice(NO_JSON), None
        if kind < 0.82:
            return self._mutated(), None
        if kind < 0.9:
            return _encode([self._message() for _ in range(dice.choice((1, 2, 3, 99, 100, 101, 300)))])[:65_536], None
        message = self._message()
        message["id"] = dice.choice(IDS)
        return _encode(message), None

    def _request(self) -> tuple[bytes, str | None]:
        self._number += 1
        message = self._message()
        message["id"] = f"n{self._number}"
        line = _encode(message)
        if len(line) > 65_536:
            return self._request()
        # What is no JSON to a strict reader is answered without an id: nobody can say whose it would be.
        return line, None if any(each in line for each in NOT_STRICT) else message["id"]

    def _message(self) -> dict[str, Any]:
        dice = self._dice
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": dice.choice(METHODS)}
        if dice.random() < 0.9:
            # As a caller would have them, mostly: one of each that most verbs know.
            names = dice.choice(
                (("task_id",), ("title", "task_id", "steps"), ("task_id", "step", "status"), ("task_id", "status"), ())
            )
            chosen = {name: FIELDS[name][0 if dice.random() < 0.8 else dice.randrange(len(FIELDS[name]))] for name in names}
            for _ in range(dice.choice((0, 0, 1, 2))):
                name = dice.choice(list(FIELDS))
                chosen[name] = dice.choice(FIELDS[name])
            message["params"] = chosen
        elif dice.random() < 0.5:
            message["params"] = dice.choice(([], [1], "x", None, 7))
        return message

    def _mutated(self) -> bytes:
        line = bytearray(self._request()[0])
        for _ in range(self._dice.choice((1, 1, 2, 8))):
            place = self._dice.randrange(len(line))
            match self._dice.randrange(4):
                case 0:
                    line[place] = self._dice.randrange(256)
                case 1:
                    del line[place : place + self._dice.randrange(1, 20)]
                case 2:
                    line[place:place] = self._dice.randbytes(self._dice.randrange(1, 9))
                case 3:
                    line[place:place] = line[place : place + 40]
            if not line:
                return b"{"
        return bytes(line).replace(b"\n", b" ")[:65_536]


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()

"""Kinds of answer that no backend should give: bodies, shapes, headers, statuses and framings, by name.

Each is tried on each route that the daemon calls. ``drawn`` mixes them at random; a mixture that ever failed is to be entered
in ``KNOWN``.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.hostile_server import Answer, Asked
from support.hostile_texts import TEXTS

BOM = b"\xef\xbb\xbf"
VALUES: Mapping[str, Any] = {
    **TEXTS,
    "null": None,
    "true": True,
    "zero": 0,
    "one": 1,
    "minus one": -1,
    "float": 1.5,
    "2 ** 63": 2**63,
    "2 ** 200": 2**200,
    "list": [],
    "nested list": [[[["x"]]]],
    "object": {"a": {"b": None}},
}
"""What may stand in place of a text, an id, a flag or a time."""

BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "spaces": b" \r\n\t ",
    "null": b"null",
    "true": b"true",
    "number": b"7",
    "text": b'"ok"',
    "list": b"[]",
    "object": b"{}",
    "list of null": b"[null]",
    "NaN": b"NaN",
    "infinite": b'{"task_id":1e999}',
    "5000 digits": b'{"task_id":' + b"9" * 5000 + b',"detail":' + b"9" * 5000 + b"}",
    "nested deep": b"[" * 100_000,
    "nested deep and closed": b'{"detail":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "nested as deep as Python bears": b'{"detail":' + b"[" * 900 + b"]" * 900 + b"}",
    "key twice": b'{"results":[],"results":null,"task_id":"a","task_id":"b"}',
    "escaped lone surrogate": b'{"detail":"\\ud800","title":"\\udfff","task_id":"\\ud800"}',
    "surrogate in UTF-8": b'{"detail":"\xed\xa0\x80"}',
    "invalid UTF-8": b'{"detail":"\xff\xfe\xc3"}',
    "UTF-16": '{"detail":"x"}'.encode("utf-16"),
    "UTF-32": '{"detail":"x"}'.encode("utf-32-be"),
    "BOM alone": BOM,
    "HTML": b"<!doctype html><html><title>Sign in</title><body>\x1b[31m<form></form></body></html>",
    "cut off": b'{"results":[{"event_id":"',
    "two values": b"{}{}",
    "comment": b"/* hi */ {}",
    "NUL bytes": b"\x00" * 1000,
    "long text": b'{"detail":"' + b"x" * 500_000 + b'"}',
    "over the bound": b'{"detail":"' + b"x" * 1_200_000 + b'"}',
    "many members": json.dumps({f"key {n}": n for n in range(20_000)}).encode(),
    "escapes and controls": json.dumps({"title": TEXTS["escape"], "detail": TEXTS["DEL and C1"] + TEXTS["bidi"]}).encode(),
    "title is a list": b'{"title":["a",["b"]],"detail":{"c":"\\ud800"}}',
}

STATUSES = (
    *(200, 201, 202, 203, 204, 205, 206, 207, 226, 299),
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425),
    *(426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 599, 600, 799, 999),
)

RETRY_AFTER = (
    "0",
    "-5",
    "1e9",
    "\u00b2",
    "9" * 400,
    "soon",
    "Wed, 21 Oct 1999 07:28:00 GMT",
    "Fri, 99 Foo 99999 99:99:99",
    "1,2",
)
HEADERS: Mapping[str, Mapping[str, str]] = {
    **{f"Retry-After {value[:12]!r}": {"Retry-After": value} for value in RETRY_AFTER},
    "cookie of 9 kB": {"Set-Cookie": "sso=" + "x" * 9000},
    "header of 60 kB": {"X-Long": "x" * 60_000},
    "300 headers": {f"X-{number}": "y" for number in range(300)},
    "Latin-1": {"X-Name": "caf\u00e9 \u00ff"},
    "charset unknown": {"Content-Type": "application/json; charset=no-such"},
    "charset UTF-7": {"Content-Type": "text/html; charset=utf-7"},
    "type nonsense": {"Content-Type": ";;;=/"},
    "gzip that is none": {"Content-Encoding": "gzip"},
    "deflate that is none": {"Content-Encoding": "deflate"},
    "br that is none": {"Content-Encoding": "br"},
    "zstd that is none": {"Content-Encoding": "zstd"},
    "encoding unknown": {"Content-Encoding": "rot13"},
    "location elsewhere": {"Location": "http://169.254.169.254/latest"},
    "location nonsense": {"Location": "//[::1/%zz"},
    "upgrade": {"Connection": "Upgrade", "Upgrade": "h2c"},
}

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FRAMINGS: Mapping[str, Answer] = {
    "closed at once": Answer(raw=b"", after="close"),
    "reset at once": Answer(raw=b"", after="reset"),
    "half a status line": Answer(raw=b"HTTP/1.1 20", after="close"),
    "status line alone": Answer(raw=b"HTTP/1.1 200 OK\r\n", after="close"),
    "no version": Answer(raw=b"200 OK\r\n\r\n", after="close"),
    "HTTP/0.9": Answer(raw=b"hello\n", after="close"),
    "HTTP/9.9": Answer(raw=b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "HTTP/1.0": Answer(raw=b"HTTP/1.0 200 OK\r\n\r\n{}", after="close"),
    "status of letters": Answer(raw=b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "status of one digit": Answer(raw=b"HTTP/1.1 2 OK\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "status negative": Answer(raw=b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "status of many digits": Answer(raw=b"HTTP/1.1 20000000000000000000 OK\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "no reason": Answer(raw=b"HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "reason of controls": Answer(raw=b"HTTP/1.1 503 \x1b[2J\x9b\xff\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "TLS": Answer(raw=b"\x15\x03\x01\x00\x02\x02\x46", after="close"),
    "random bytes": Answer(raw=bytes(range(256)) * 8, after="close"),
    "NUL bytes": Answer(raw=b"\x00" * 5000, after="close"),
    "SSH": Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n", after="close"),
    "length too long": Answer(raw=_OK + b"Content-Length: 500\r\n\r\n{}", after="close"),
    "length too short": Answer(raw=_OK + b"Content-Length: 1\r\n\r\n{}garbage", after="close"),
    "length negative": Answer(raw=_OK + b"Content-Length: -2\r\n\r\n{}", after="close"),
    "length of words": Answer(raw=_OK + b"Content-Length: two\r\n\r\n{}", after="close"),
    "length of a superscript": Answer(raw=_OK + b"Content-Length: \xc2\xb2\r\n\r\n{}", after="close"),
    "length immense": Answer(raw=_OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}", after="close"),
    "two lengths": Answer(raw=_OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", after="close"),
    "length and chunks": Answer(
        raw=_OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", after="close"
    ),
    "chunk size of letters": Answer(raw=_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", after="close"),
    "chunk size immense": Answer(raw=_OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{}", after="close"),
    "chunk extension long": Answer(
        raw=_OK + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n", after="close"
    ),
    "chunks that end early": Answer(raw=_OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", after="close"),
    "chunks without end": Answer(
        raw=_OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 100, after="close"
    ),
    "encoding unknown": Answer(raw=_OK + b"Transfer-Encoding: gopher\r\n\r\n{}", after="close"),
    "bare line feeds": Answer(raw=b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", after="close"),
    "folded header": Answer(raw=_OK + b"X-A: a\r\n  b\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header without colon": Answer(raw=_OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header without name": Answer(raw=_OK + b": x\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header with NUL": Answer(raw=_OK + b"X-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header with bare CR": Answer(raw=_OK + b"X-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header of 300 kB": Answer(raw=_OK + b"X-A: " + b"a" * 300_000 + b"\r\nContent-Length: 2\r\n\r\n{}", after="close"),
    "header without end": Answer(raw=_OK + b"X-A: " + b"a" * 1_000_000, after="close"),
    "20000 headers": Answer(raw=_OK + b"X-A: a\r\n" * 20_000 + b"Content-Length: 2\r\n\r\n{}", after="close"),
    "1000 times continue": Answer(
        raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + _OK + b"Content-Length: 2\r\n\r\n{}", after="close"
    ),
    "early hints": Answer(raw=b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\n{}", after="close"),
    "switching protocols": Answer(
        raw=b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x00\x01", after="close"
    ),
    "two answers": Answer(raw=(_OK + b"Content-Length: 2\r\n\r\n{}") * 2, after="close"),
    "204 with a body": Answer(raw=b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", after="close"),
    "304 with a body": Answer(raw=b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", after="close"),
    "bomb": Answer(
        body=gzip.compress(b'{"detail":"' + b"x" * 30_000_000 + b'"}'), headers={"Content-Encoding": "gzip"}, after="close"
    ),
    "gzip cut off": Answer(body=gzip.compress(b"{}" * 999)[:20], headers={"Content-Encoding": "gzip"}, after="close"),
    "silence": Answer(raw=b"", after="hang"),
    "silence after the head": Answer(raw=_OK + b"Content-Length: 2\r\n\r\n", after="hang"),
    "silence within a header": Answer(raw=_OK + b"X-", after="hang"),
}

BATCH_ROUTES = ("events", "poll")
PLAIN_ROUTES = ("create", "task", "step", "heartbeat", "control", "ack")
ROUTES = (*BATCH_ROUTES, *PLAIN_ROUTES)


def route_of(asked: Asked) -> str:
    """Which of the daemon's routes a request is for; its path's last word where it is none that is known."""
    match asked.method, asked.parts:
        case "POST", ["api", "events"]:
            return "events"
        case "POST", ["api", "control", "poll"]:
            return "poll"
        case "POST", ["api", "tasks"]:
            return "create"
        case "PATCH", ["api", "tasks", _]:
            return "task"
        case "PATCH", ["api", "tasks", _, "steps", _]:
            return "step"
        case _, [*_, last]:
            return last
    return ""


@dataclass(frozen=True)
class Kind:
    """A kind of answer.

    Attributes:
        name: What it is, for people.
        route: Where it is given.
        answer: What is given; for a shape that depends on the request see ``shape``.
        shape: The name of the shape and of the value in it.
    """

    name: str
    route: str
    answer: Answer | None = None
    shape: tuple[str, str] | None = None

    def to(self, asked: Asked) -> Answer:
        """The answer to a request."""
        if self.shape is not None:
            member, value = self.shape
            return Answer(201 if self.route == "create" else 200, shaped(self.route, member, VALUES[value], asked))
        assert self.answer is not None
        return self.answer


# ── Answers that are well formed but for one member ────────────────────────────────────────────────────────────────

_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "events": ("results", "result", "status", "rejected code", "rejected detail"),
    "poll": (
        "cursor",
        "controls",
        "control",
        "task_id",
        "interrupt_requested",
        "interrupt_id",
        "reason",
        "mode",
        "requested_at",
    ),
    "create": ("task_id", "steps", "step", "step_id", "position", "step title"),
    "control": ("interrupt_requested", "interrupt_id", "reason", "mode", "requested_at"),
}


def shaped(route: str, member: str, value: Any, asked: Asked) -> Any:
    """The body that a good server would give, with one member of another kind."""
    if route == "events":
        return _events(member, value, asked.body["events"])
    if route == "create":
        return _created(member, value, asked.body)
    control = {"interrupt_requested": True, "interrupt_id": "s1", "mode": "soft_stop", "reason": "r", "requested_at": None}
    control |= {member: value} if member in control else {}
    if route == "control":
        return control
    controls: Any = [{"task_id": each, **control} for each in asked.body["task_ids"]]
    if member == "task_id":
        controls = [{**each, "task_id": value} for each in controls]
    elif member == "control":
        controls = [value, *controls]
    body = {"cursor": "c", "controls": controls}
    return body | ({member: value} if member in body else {})


def _events(member: str, value: Any, events: list[dict[str, Any]]) -> Any:
    results: list[Any] = [{"event_id": each["event_id"], "status": "ok"} for each in events]
    if member == "results":
        return {"results": value}
    if member == "result":
        return {"results": [value, *results[1:]]}
    if member == "status":
        return {"results": [{**each, "status": value} for each in results]}
    refused = {"status": "rejected", "code": "bad", "detail": "no", member.removeprefix("rejected "): value}
    return {"results": [{**each, **refused} for each in results]}


def _created(member: str, value: Any, body: dict[str, Any]) -> Any:
    steps: list[Any] = [{**step, "position": place} for place, step in enumerate(body["steps"], 1)]
    changed = {"step_id": "step_id", "position": "position", "step title": "title"}
    if member in changed:
        steps = [{**step, changed[member]: value} for step in steps]
    elif member == "step":
        steps = [value] * len(steps)
    elif member == "steps":
        return {"task_id": body["task_id"], "steps": value}
    return {"task_id": value if member == "task_id" else body["task_id"], "steps": steps}


# ── All of them ────────────────────────────────────────────────────────────────────────────────────────────────────


def general() -> Iterator[tuple[str, Answer]]:
    """The kinds that may come on any route."""
    for name, body in BODIES.items():
        for status in (200, 422, 503):
            yield f"{status} with {name}", Answer(status, body)
    for status in STATUSES:
        yield f"{status}", Answer(status, {"title": "t", "detail": "d", "task_id": "t"})
    for name, headers in HEADERS.items():
        yield name, Answer(503 if "Retry" in name else 200, {}, headers)
    yield from FRAMINGS.items()


def shapes() -> Iterator[Kind]:
    """The kinds that belong to one route."""
    for route, members in _MEMBERS.items():
        for member in members:
            for value in VALUES:
                yield Kind(f"{member}: {value}", route, shape=(member, value))


def every() -> list[Kind]:
    """Every kind on every route."""
    return [Kind(name, route, answer) for name, answer in general() for route in ROUTES] + list(shapes())


def selected(seed: int) -> list[Kind]:
    """Every general kind on one route, drawn by the seed, and a share of the shapes: the short form."""
    draw = random.Random(seed)
    chosen = [Kind(name, draw.choice(ROUTES), answer) for name, answer in general()]
    return chosen + draw.sample(list(shapes()), 30)


def drawn(seed: int, count: int) -> list[Kind]:
    """Mixtures of a status, a body, headers and what becomes of the connection."""
    draw = random.Random(seed)
    kinds = []
    for number in range(count):
        body, headers = draw.choice(list(BODIES)), draw.choice(list(HEADERS))
        after = draw.choice(("keep", "close", "reset"))
        status = draw.choice(STATUSES)
        answer = Answer(status, BODIES[body], HEADERS[headers], after=after)
        kinds.append(Kind(f"seed {seed}, {number}: {status}, {body}, {headers}, {after}", draw.choice(ROUTES), answer))
    return kinds

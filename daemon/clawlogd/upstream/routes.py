"""A request, and the batch profile's: its one route for all events and beats, and the one for many tasks' control states.

All other requests are made by a contract (``contracts.interpreter``), those of the standard contract's plain profile, too. A
batch is not: its records are the outbox's bytes as they are, joined and never decoded, which no template could fill. A record
costs 0.02 µs that way; the interpreter takes 13 µs for a step's report, beside decoding it. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a backend, not sent yet.

    Attributes:
        method: The HTTP method.
        path: The path, with each id quoted.
        body: The JSON body; None for a request without one.
        key: The ``Idempotency-Key``: the event's id.
        query: Names and values behind the path, not quoted yet.
        from_origin: Whether the path begins at the server's root, and not at the ``base_url``.
        route: What all requests of one kind have in common: the template of the path. Empty for a server that is never
            followed to another path.
    """

    method: str
    path: str
    body: bytes | None = None
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    from_origin: bool = False
    route: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def batch(records: Sequence[bytes]) -> HttpRequest:
    """Events and beats in one request; they are JSON objects already."""
    return HttpRequest("POST", "/api/events", b'{"events":[' + b",".join(records) + b"]}")


def poll(task_ids: Sequence[str], cursor: str | None, wait_s: float) -> HttpRequest:
    """What changed about many tasks' control states since a cursor; the server may hold its answer for ``wait_s``."""
    body: dict[str, object] = {"task_ids": list(task_ids), "wait_s": wait_s}
    if cursor is not None:
        body["cursor"] = cursor
    return HttpRequest("POST", "/api/control/poll", _encode(body))

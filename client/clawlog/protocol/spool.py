"""The spool's file format: requests that a program stored because no daemon could be reached.

A file holds two lines: the CRC-32 of the second in eight hexadecimal digits, then one JSON object
``{"version": 1, "at": TIME, "requests": [{"method": …, "params": {…}}, …]}``. ``at`` is when the program made the calls, in
RFC 3339; the daemon gives the events that time. Files are drained in the order of their names, which begin with a growing
number.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog.protocol.jsonrpc import dumps, loads

SUFFIX = ".call"
SPOOLABLE = frozenset({"task.create", "task.update", "step.update", "interrupt.ack"})
"""The verbs that may wait: each is an event. A heartbeat is true only at its time, and a query needs its answer."""


@dataclass(frozen=True, slots=True)
class SpooledCalls:
    """The requests of one program call.

    Attributes:
        at: When it was made, RFC 3339 in UTC.
        requests: Verb and parameters, in order. Each carries its ``event_id``, so that a repetition changes nothing.
    """

    at: str
    requests: tuple[tuple[str, Mapping[str, Any]], ...]


def encode(at: str, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    """The content of a spool file."""
    body = dumps({"version": 1, "at": at, "requests": [{"method": m, "params": p} for m, p in requests]})
    return b"%08x\n%s\n" % (zlib.crc32(body), body)


def decode(content: bytes) -> SpooledCalls:
    """Reads a spool file.

    Raises:
        ValueError: It is torn or damaged, or of another version.
    """
    checksum, _, body = content.removesuffix(b"\n").partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(body):
        raise ValueError("the checksum does not fit: the file is torn or damaged")
    value = loads(body)
    try:
        if value["version"] != 1:
            raise ValueError(f"version {value['version']!r} is not known here; expected 1")
        requests = tuple((str(each["method"]), dict(each["params"])) for each in value["requests"])
        return SpooledCalls(str(value["at"]), requests)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a spool file: {error!r}") from None

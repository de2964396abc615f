"""The spool's file format: requests that a program stored because no daemon could be reached.

A file holds two lines: the CRC-32 of the second in eight hexadecimal digits, then one JSON object
``{"version": 1, "at": TIME, "requests": [{"method": …, "params": {…}}, …]}``. ``at`` is when the program made the calls, in
RFC 3339; the daemon gives the events that time. A call that names a process also has ``pid_namespace``, the inode number of the
namespace in which that number holds. Files are drained in the order of their names, which begin with a growing
number.

A program may be newer than the daemon that drains its file, and a call that is refused then is set aside. So what the first
daemons do not know stands in a member of its own beside ``params``, ``later``, which they pass over: ``{"cwd": …}``, or
``{"status": "waiting"}`` over a ``running`` in ``params``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog.protocol.jsonrpc import dumps, loads
from clawlog.protocol.vocabulary import LATER_PARAMS, WAITING

SUFFIX = ".call"
SPOOLABLE = frozenset(
    {
        "task.create",
        "task.update",
        "task.plan",
        "task.link",
        "task.annotate",
        "step.update",
        "step.add",
        "interrupt.ack",
        "agent.event",
    }
)
"""The verbs that may wait: each is an event. A heartbeat is true only at its time, and a query needs its answer."""


@dataclass(frozen=True, slots=True)
class SpooledCalls:
    """The requests of one program call.

    Attributes:
        at: When it was made, RFC 3339 in UTC.
        pid_namespace: The inode number of the program's pid namespace, where it wrote that down, too.
        requests: Verb and parameters, in order. Each carries its ``event_id``, so that a repetition changes nothing.
    """

    at: str
    requests: tuple[tuple[str, Mapping[str, Any]], ...]
    pid_namespace: int | None = None


def encode(at: str, requests: Sequence[tuple[str, Mapping[str, Any]]], pid_namespace: int | None = None) -> bytes:
    """The content of a spool file."""
    value: dict[str, Any] = {"version": 1, "at": at, "requests": [_written(*each) for each in requests]}
    if pid_namespace is not None:
        value["pid_namespace"] = pid_namespace
    body = dumps(value)
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
        requests = tuple((str(each["method"]), {**each["params"], **each.get("later", {})}) for each in value["requests"])
        namespace = value.get("pid_namespace")
        return SpooledCalls(str(value["at"]), requests, namespace if isinstance(namespace, int) else None)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a spool file: {error!r}") from None


def _written(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    later = {name: params[name] for name in LATER_PARAMS.get(method, ()) if name in params}
    if method == "task.update" and params.get("status") == WAITING:
        later["status"] = WAITING
        params = {**params, "status": "running"}
    if not later:
        return {"method": method, "params": params}
    return {"method": method, "params": {k: v for k, v in params.items() if k not in later or k == "status"}, "later": later}

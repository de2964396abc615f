"""The network between the daemon and its backends: one request is one call, and anything may become of it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from simulation.backend import Backend, Reply
from simulation.foreign import ForeignServer
from simulation.plan import Item

_NEVER_S = 1e9


@dataclass
class Link:
    """The way to one backend.

    Attributes:
        backend: What is at its end.
        draw: Where its chances come from.
        state: ``up``, ``refused`` (connections are), ``silent`` (nothing comes back), or a status that is the answer to all.
        bad: How likely each request is to go wrong in some way.
        slow_s: How long a request takes each way, at most, beyond the usual.
        healthy_since: Since when it has been up and good.
    """

    backend: Backend | ForeignServer
    draw: random.Random
    state: str = "up"
    bad: float = 0.0
    slow_s: float = 0.0
    healthy_since: float = 0.0
    late: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def healthy(self) -> bool:
        """Whether requests get through."""
        return self.state == "up" and not self.bad

    async def suffer(self, item: Item) -> None:
        """What goes wrong with it, from its beginning to its end."""
        match item.kind:
            case "outage":
                self.state = item.args[1]
                self.backend.hang_up()
                await asyncio.sleep(item.args[2])
                self.state = "up"
            case "bad":
                self.bad = item.args[1]
                await asyncio.sleep(item.args[2])
                self.bad = 0.0
            case "slow":
                self.slow_s = item.args[1]
                await asyncio.sleep(item.args[2])
                self.slow_s = 0.0
            case "restore" if isinstance(self.backend, Backend):
                self.backend.restore()
            case "backup" if isinstance(self.backend, Backend):
                self.backend.back_up()
            case "hangup":
                self.backend.hang_up()


class Refused(OSError):  # noqa: N818 - names what is the case
    """Nobody listens."""


async def exchange(
    link: Link, method: str, path: str, body: bytes | None, key: str | None, total_s: float, connect_s: float
) -> tuple[Reply, dict[str, str]]:
    """One request.

    Returns:
        The answer, and its headers.

    Raises:
        aiohttp.ClientError: It failed.
        TimeoutError: It took too long.
    """
    draw = link.draw
    there_s, back_s = _delay_s(link), _delay_s(link)
    if link.state == "refused":
        await asyncio.sleep(there_s)
        raise aiohttp.ClientConnectorError(_KEY, Refused(111, "Connection refused"))
    if link.state == "silent":
        await asyncio.sleep(connect_s)
        raise aiohttp.ConnectionTimeoutError
    if link.state.isdigit():
        await asyncio.sleep(there_s + back_s)
        return (int(link.state), b'{"title": "out of order"}'), {"Retry-After": "7"} if link.state in {"429", "503"} else {}
    wrong = draw.choice(_WRONG) if link.bad and draw.random() < link.bad else ""
    if wrong in {"again", "late"} and not link.backend.knows_keys:
        wrong = "before"  # what comes twice there happens twice, whatever a daemon does
    try:
        async with asyncio.timeout(total_s):
            return await _go(link, method, path, body, key, wrong, there_s, back_s)
    finally:
        if wrong in {"again", "late"}:
            _later(link, method, path, body, key)


_KEY: Any = aiohttp.client_reqrep.ConnectionKey("simulated", 80, False, True, None, None, None)
_WRONG = ("before", "after", "again", "late", "500", "502", "503", "429", "404page", "garbage", "short", "hang", "empty")


async def _go(
    link: Link, method: str, path: str, body: bytes | None, key: str | None, wrong: str, there_s: float, back_s: float
) -> tuple[Reply, dict[str, str]]:
    await asyncio.sleep(there_s)
    if wrong in {"before", "late"}:
        raise aiohttp.ServerDisconnectedError
    if wrong.isdigit() and link.draw.random() < 0.5:
        return (int(wrong), b"{}"), {}
    reply = await link.backend.handle(method, path, body, key)
    if link.state in {"refused", "silent"}:  # it went away meanwhile
        raise aiohttp.ServerDisconnectedError
    await asyncio.sleep(back_s)
    match wrong:
        case "after":
            raise aiohttp.ServerDisconnectedError
        case "hang":
            await asyncio.sleep(_NEVER_S)
        case "garbage":
            return (200, b"\xff<>"), {}
        case "404page":
            return (502, b"<html>gateway</html>"), {}
        case "short":
            return (200, b'{"results": []}'), {}
        case "empty":
            raise aiohttp.ClientPayloadError("cut off")
    if wrong.isdigit():
        return (int(wrong), b"{}"), {"Retry-After": str(link.draw.choice((0, 1, 20, "x")))}
    return reply, {}


def _later(link: Link, method: str, path: str, body: bytes | None, key: str | None) -> None:
    """The same request arrives once more, long after it was given up: its answer goes nowhere."""
    if method == "GET" or path.endswith(("/poll", "/heartbeat")):
        return
    if b'"heartbeat"' in (body or b""):  # one of long ago would be taken for a sign of life of now
        return
    delay_s = link.draw.uniform(0.01, 90)

    async def arrive() -> None:
        await asyncio.sleep(delay_s)
        await link.backend.handle(method, path, body, key)

    task = asyncio.get_running_loop().create_task(arrive())
    link.late.add(task)
    task.add_done_callback(link.late.discard)


def _delay_s(link: Link) -> float:
    return link.draw.uniform(0.001, 0.03) + (link.draw.uniform(0, link.slow_s) if link.slow_s else 0.0)

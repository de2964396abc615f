"""An answer's head and body are sent together, in their order, and nothing is held back for longer than it takes."""

from __future__ import annotations

import asyncio

from clawlog_backend.http.connections import JoinedWrites

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"{}"


class Transport:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


async def test_a_head_is_sent_with_the_body_that_follows_and_no_part_twice() -> None:
    transport = Transport()
    joined = JoinedWrites(transport)
    for data in (HEAD, BODY, b"more", HEAD, BODY):
        joined.write(data)
    await asyncio.sleep(0)
    assert transport.calls == [HEAD + BODY, b"more", HEAD + BODY]


async def test_a_head_without_a_body_waits_for_the_end_of_the_turn_alone() -> None:
    transport = Transport()
    joined = JoinedWrites(transport)
    joined.write(HEAD)
    assert transport.calls == []
    await asyncio.sleep(0)
    assert transport.calls == [HEAD]
    joined.write(BODY)
    assert transport.calls == [HEAD, BODY]


async def test_a_head_that_announces_a_body_waits_for_it_or_for_the_end_of_the_answer() -> None:
    transport = Transport()
    joined = JoinedWrites(transport)
    announcing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    joined.write(announcing)
    await asyncio.sleep(0)
    assert transport.calls == []
    joined.write(BODY)
    joined.write(announcing)
    joined.flush()
    assert transport.calls == [announcing + BODY, announcing]


async def test_closing_sends_what_is_held_back_first() -> None:
    transport = Transport()
    joined = JoinedWrites(transport)
    joined.write(HEAD)
    joined.close()
    await asyncio.sleep(0)
    assert transport.calls == [HEAD, "close"]
    assert joined.is_closing()

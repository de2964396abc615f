"""ZMTP byte by byte (rfc.zeromq.org/spec/23); that libzmq understands it is shown with the clients' tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog.connection import zmtp
from clawlog.connection.call import ConnectionLost
from clawlog.connection.zmtp import GREETING, Zmtp, command, frame

READY = command(b"READY", zmtp.property_(b"Socket-Type", b"ROUTER"))


def connected() -> Zmtp:
    peer = Zmtp()
    peer.take_output()
    assert peer.receive(GREETING + READY) == []
    peer.take_output()
    return peer


def test_greets_with_version_3_and_null() -> None:
    assert len(GREETING) == 64
    assert Zmtp().take_output() == b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL" + bytes(16 + 1 + 31)


def test_introduces_itself_as_a_dealer_once_greeted() -> None:
    peer = Zmtp()
    peer.take_output()
    peer.receive(GREETING)
    assert peer.take_output() == b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"


def test_messages_wait_for_the_handshake() -> None:
    peer = Zmtp()
    peer.send(b"hello")
    assert peer.take_output() == GREETING
    peer.receive(GREETING)
    assert b"hello" not in peer.take_output()
    peer.receive(READY)
    assert peer.take_output() == b"\0\5hello"


def test_frames_of_more_than_255_bytes_have_a_long_size() -> None:
    assert frame(b"x" * 255)[:2] == b"\x00\xff"
    assert frame(b"x" * 256)[:9] == b"\x02" + (256).to_bytes(8, "big")


def test_an_empty_delimiter_is_passed_over() -> None:
    assert connected().receive(b"\1\0" + frame(b"payload")) == [b"payload"]


def test_a_ping_is_answered_with_its_context() -> None:
    peer = connected()
    assert peer.receive(command(b"PING", b"\0\x0acontext")) == []
    assert peer.take_output() == command(b"PONG", b"context")


def test_a_command_of_a_later_version_is_passed_over() -> None:
    peer = connected()
    assert peer.receive(command(b"HICCUP") + frame(b"m")) == [b"m"]
    assert peer.take_output() == b""


def test_a_refused_handshake_is_told_with_its_reason() -> None:
    peer = Zmtp()
    with pytest.raises(ConnectionLost, match="go away"):
        peer.receive(GREETING + command(b"ERROR", b"\x07go away"))


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request".ljust(64), "no ZeroMQ peer"),
        (GREETING[:10] + b"\1" + GREETING[11:], "version 3"),
        (GREETING.replace(b"NULL\0", b"CURVE"), "CURVE"),
    ],
)
def test_another_kind_of_peer_is_refused(greeting: bytes, reason: str) -> None:
    with pytest.raises(ConnectionLost, match=reason):
        Zmtp().receive(greeting)


def test_a_frame_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ConnectionLost, match="bytes"):
        connected().receive(b"\2" + (1 << 62).to_bytes(8, "big"))


@given(messages=st.lists(st.binary(max_size=600), max_size=8), data=st.data())
def test_messages_survive_any_cutting_of_the_stream(messages: list[bytes], data: st.DataObject) -> None:
    stream = GREETING + READY + b"".join(frame(each) for each in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    peer, received, start = Zmtp(), [], 0
    for end in [*cuts, len(stream)]:
        received += peer.receive(stream[start:end])
        start = end
    assert received == messages

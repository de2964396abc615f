from __future__ import annotations

import pytest

from clawlog.connection.address import Address, Kind, parse
from clawlog.errors import BadAddress


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/x.sock", Address(Kind.UNIX, "/run/x.sock")),
        ("unix:/run/x.sock", Address(Kind.UNIX, "/run/x.sock")),
        ("unix:relative", Address(Kind.UNIX, "relative")),
        ("zmq:ipc:///run/z", Address(Kind.ZMQ_IPC, "/run/z", "ipc:///run/z")),
        ("zmq:ipc://@name", Address(Kind.ZMQ_IPC, "\0name", "ipc://@name")),
        ("zmq:tcp://127.0.0.1:5555", Address(Kind.ZMQ_TCP, "", "tcp://127.0.0.1:5555")),
    ],
)
def test_reads_every_form(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize("text", ["", "unix:", "http://localhost", "zmq:", "zmq:inproc://x", "zmq:ipc://", "zmq:/path"])
def test_refuses_what_is_none_and_says_what_is_expected(text: str) -> None:
    with pytest.raises(BadAddress, match=r"expected PATH, unix:PATH, zmq:ipc://PATH or zmq:tcp://HOST:PORT"):
        parse(text)


def test_only_a_local_daemon_may_be_started() -> None:
    assert parse("/x").is_local
    assert parse("zmq:ipc:///x").is_local
    assert not parse("zmq:tcp://h:1").is_local


@pytest.mark.parametrize("text", ["/x", "zmq:ipc:///x", "zmq:tcp://h:1"])
def test_writes_itself_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text

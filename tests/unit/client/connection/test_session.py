from __future__ import annotations

import pytest

from clawlog.connection import calls, session
from clawlog.connection.call import ConnectionLost
from clawlog.connection.results import StopPhase, StopState
from clawlog.connection.session import Answer, Changed, Lines, Session
from clawlog.errors import ProtocolViolation


def test_numbers_calls_and_matches_answers_in_any_order() -> None:
    talk = Session()
    first, _ = talk.request(calls.daemon_status())
    second, message = talk.request(calls.heartbeat("t"))
    assert (first, second) == (1, 2)
    assert message == b'{"jsonrpc":"2.0","id":2,"method":"task.heartbeat","params":{"task_id":"t"}}'
    late = talk.receive(b'{"jsonrpc":"2.0","id":2,"result":1}')
    early = talk.receive(b'{"jsonrpc":"2.0","id":1,"result":2}')
    assert isinstance(late, Answer)
    assert isinstance(early, Answer)
    assert (late.number, early.number) == (2, 1)


def test_reads_what_the_daemon_pushes() -> None:
    told = b'{"jsonrpc":"2.0","method":"interrupt.changed","params":{"task_id":"t","state":"requested","interrupt_id":"i"}}'
    assert Session().receive(told) == Changed("t", StopState(StopPhase.REQUESTED, "i"))


def test_passes_over_a_notification_of_a_later_version() -> None:
    assert Session().receive(b'{"jsonrpc":"2.0","method":"daemon.mood","params":{}}') is None


@pytest.mark.parametrize(
    "message",
    [
        b"SSH-2.0",
        b"[]",
        b'{"jsonrpc":"2.0","id":1,"result":1}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Not JSON"}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"message":"no code"}}',
        b'{"jsonrpc":"2.0","method":"interrupt.changed","params":{"state":"perhaps"}}',
        b'{"method":1}',
    ],
)
def test_whatever_else_comes_is_a_violation(message: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        Session().receive(message)


def test_lines_are_cut_and_joined() -> None:
    framing = Lines()
    framing.send(b"one")
    framing.send(b"two")
    assert framing.take_output() == b"one\ntwo\n"
    assert framing.take_output() == b""
    assert framing.receive(b"a\nb") == [b"a"]
    assert framing.receive(b"c\n") == [b"bc"]


def test_a_line_without_end_is_not_taken_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_REPLY_BYTES", 10)
    framing = Lines()
    with pytest.raises(ConnectionLost, match="more than 10 bytes"):
        framing.receive(b"x" * 11)

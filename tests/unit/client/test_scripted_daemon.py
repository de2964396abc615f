"""The scripted daemon itself: a test that leans on it must be able to trust it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import zmq

from clawlog.protocol.errors import UNKNOWN_TASK, RpcError
from support.scripted_daemon import STOP, CurveKeys, ScriptedDaemon, Trick, on_zeromq


def ask(connection: socket.socket, line: bytes) -> dict[str, object]:
    connection.sendall(line)
    with connection.makefile("rb") as replies:
        return dict(json.loads(replies.readline()))


@pytest.fixture
def connection(daemon: ScriptedDaemon) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(daemon.address)
    with client:
        yield client


def test_answers_by_verb_and_remembers_what_was_asked(daemon: ScriptedDaemon, connection: socket.socket) -> None:
    reply = ask(connection, b'{"jsonrpc":"2.0","id":7,"method":"daemon.flush","params":{"timeout_s":1}}\n')
    assert reply == {"jsonrpc": "2.0", "id": 7, "result": {"flushed": True, "pending": 0}}
    assert daemon.only("daemon.flush") == {"timeout_s": 1}


def test_an_answer_can_be_an_error(daemon: ScriptedDaemon, connection: socket.socket) -> None:
    daemon.answers["task.get"] = RpcError(UNKNOWN_TASK, "no such task")
    reply = ask(connection, b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"t"}}\n')
    assert reply["error"] == {"code": UNKNOWN_TASK, "message": "no such task", "data": {"code": "unknown_task"}}


def test_hangs_up_when_told_to(daemon: ScriptedDaemon, connection: socket.socket) -> None:
    daemon.answers["task.list"] = Trick.HANG_UP
    connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"task.list"}\n')
    assert connection.recv(10) == b""


def test_closes_every_connection_on_hang_up_and_goes_on_listening(daemon: ScriptedDaemon, connection: socket.socket) -> None:
    ask(connection, b'{"jsonrpc":"2.0","id":1,"method":"task.list"}\n')
    daemon.hang_up()
    assert connection.recv(10) == b""
    with socket.socket(socket.AF_UNIX) as another:
        another.connect(daemon.address)
        assert ask(another, b'{"jsonrpc":"2.0","id":2,"method":"task.list"}\n')["id"] == 2


def test_pushes_changes_to_watchers(daemon: ScriptedDaemon, connection: socket.socket) -> None:
    ask(connection, b'{"jsonrpc":"2.0","id":1,"method":"interrupt.watch","params":{"task_id":"t"}}\n')
    daemon.push(**STOP)
    assert b'"interrupt.changed"' in connection.recv(1000)


@pytest.mark.parametrize("delimiter", [True, False])
def test_serves_zeromq(short_dir: Path, delimiter: bool) -> None:
    with on_zeromq(f"ipc://{short_dir}/z") as daemon, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(daemon.address.removeprefix("zmq:"))
        message = b'{"jsonrpc":"2.0","id":1,"method":"task.list"}'
        dealer.send_multipart([b"", message] if delimiter else [message])
        assert json.loads(dealer.recv_multipart()[-1])["result"] == {"tasks": []}


def test_serves_zeromq_with_curve_to_who_knows_its_key() -> None:
    keys = CurveKeys.new()
    with on_zeromq("tcp://127.0.0.1:*", keys) as daemon, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.curve_serverkey = keys.server_public
        dealer.curve_publickey, dealer.curve_secretkey = keys.client_public, keys.client_secret
        dealer.connect(daemon.address.removeprefix("zmq:"))
        dealer.send(b'{"jsonrpc":"2.0","id":1,"method":"task.list"}')
        assert dealer.poll(5000)

"""Who is let in, how many at once, and what becomes of those who leave."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from clawlogd.settings import Listen
from support.callers import DealerCaller, UnixCaller, call
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take on another user's identity")


@contextmanager
def another_user() -> Iterator[None]:
    """Connections made within are another user's, by their kernel credentials."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


async def answers(sock: socket.socket) -> bool:
    """Whether the daemon answers on a connection, or has closed it."""
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    try:
        writer.write(b'{"jsonrpc":"2.0","id":1,"method":"deadletter.list"}\n')
        async with asyncio.timeout(10):
            return bool(await reader.readline())
    except ConnectionError:
        return False
    finally:
        writer.close()


def connect_as_another(path: Path) -> socket.socket:
    # The file system would keep others out already; here it must not, so that the daemon has to.
    path.parent.chmod(0o755)
    path.chmod(0o666)
    sock = socket.socket(socket.AF_UNIX)
    with another_user():
        sock.connect(str(path))
    sock.setblocking(False)
    return sock


@as_root
async def test_another_users_program_is_turned_away(daemon: RunningDaemon, caplog: pytest.LogCaptureFixture) -> None:
    assert await answers(connect_as_another(daemon.socket_path)) is False
    assert [record.fields["uid"] for record in caplog.records if record.getMessage() == "peer_refused"] == [NOBODY]
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == 0


@as_root
async def test_members_of_the_allowed_group_are_let_in(new_daemon: Callable[..., RunningDaemon]) -> None:
    try:
        group = grp.getgrgid(NOBODY).gr_name
    except KeyError:
        pytest.skip("there is no group with that number here")
    daemon = new_daemon(msgspec.structs.replace(QUICK, listen=Listen(group=group)))
    await daemon.start()
    assert await answers(connect_as_another(daemon.socket_path)) is True


async def test_callers_over_the_bound_are_turned_away_until_one_leaves(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, listen=Listen(max_connections=2)))
    await daemon.start()
    first, second = await daemon.connect(), await daemon.connect()
    for caller in (first, second):
        await call(caller, "deadletter.list")
    third = await daemon.connect()
    assert await third.receive_rest() == []
    await first.close()

    async def another_is_let_in() -> bool:
        caller = await UnixCaller.connect(daemon.socket_path)
        try:
            return await call(caller, "deadletter.list") == {"dead_letters": []}
        except (AssertionError, ConnectionError):
            return False
        finally:
            await caller.close()

    await until(another_is_let_in)
    await call(second, "deadletter.list")


async def test_a_watcher_that_leaves_is_told_nothing_more(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t")
    watcher = await daemon.connect()
    await call(watcher, "interrupt.watch", task_id="t")
    assert len(daemon.services.interrupts.awaited) == 1
    await watcher.close()
    await until(lambda: not daemon.services.interrupts.awaited)


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_watcher_over_zeromq_that_has_gone_is_forgotten_when_there_is_news(
    new_daemon: Callable[..., RunningDaemon], folder: Path, plain: PlainServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, zmq=f"ipc://{folder}/d.zmq"))
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    watcher = DealerCaller(f"ipc://{folder}/d.zmq")
    await call(watcher, "interrupt.watch", task_id="t")
    await watcher.close()
    plain.ask_to_stop(plain.only_task.task_id)
    await until(lambda: not daemon.services.interrupts.awaited)
    assert (await daemon.call("interrupt.check", task_id="t"))["state"] == "requested"


async def test_a_thousand_callers_one_after_the_other_leave_nothing_behind(daemon: RunningDaemon) -> None:
    await daemon.call("daemon.status")
    before = count_open_files()
    for _ in range(1000):
        caller = await UnixCaller.connect(daemon.socket_path)
        await call(caller, "deadletter.list")
        await caller.close()
    await until(lambda: count_open_files() <= before + 2)


async def test_commands_that_were_taken_over_zeromq_are_answered_before_the_end(
    new_daemon: Callable[..., RunningDaemon], folder: Path
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, zmq=f"ipc://{folder}/d.zmq"))
    await daemon.start()
    caller = DealerCaller(f"ipc://{folder}/d.zmq")
    for number in range(200):
        await caller.send(
            b'{"jsonrpc":"2.0","id":%d,"method":"task.create","params":{"title":"T","base_url":"http://127.0.0.1:9"}}' % number
        )
    # Stopped in the very moment when some are taken and none of their commits has come back.
    await until(lambda: len(daemon.services.registry) > 0)
    daemon.request_shutdown()
    await daemon.stopped()
    results = 0
    while await caller.socket.poll(100):
        results += b'"result"' in await caller.receive()
    await caller.close()
    await daemon.start()
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == results > 0


async def test_a_caller_over_zeromq_that_never_reads_is_left_and_the_others_are_served(
    new_daemon: Callable[..., RunningDaemon], folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("clawlogd.rpc.zeromq._MAX_SENT", 10)
    monkeypatch.setattr("clawlogd.rpc.zeromq_callers._MAX_INBOX_BYTES", 10_000)
    daemon = new_daemon(msgspec.structs.replace(QUICK, zmq=f"ipc://{folder}/d.zmq"))
    await daemon.start()
    deaf = DealerCaller(f"ipc://{folder}/d.zmq")
    deaf.socket.setsockopt(zmq.RCVHWM, 1)
    status = b'{"jsonrpc":"2.0","id":1,"method":"daemon.status","params":{}}'
    sending = asyncio.create_task(_send_for_ever(deaf, status))
    await until(lambda: "caller_reads_nothing" in caplog.text)
    other = DealerCaller(f"ipc://{folder}/d.zmq")
    assert (await call(other, "task.list"))["tasks"] == []
    sending.cancel()
    await deaf.close()
    await other.close()


async def _send_for_ever(caller: DealerCaller, message: bytes) -> None:
    while True:
        await caller.send(message)
        await asyncio.sleep(0)


# ── ZeroMQ over TCP ────────────────────────────────────────────────────────────────────────────────────────────────


class Keys:
    """The daemon's pair of keys, and that of one program."""

    def __init__(self, folder: Path) -> None:
        self.server_public, server_secret = zmq.curve_keypair()
        self.public, self.secret = zmq.curve_keypair()
        self.file = folder / "server.key"
        self.file.write_bytes(server_secret)


@pytest.fixture
def keys(folder: Path) -> Keys:
    return Keys(folder)


@pytest.fixture
async def endpoint(new_daemon: Callable[..., RunningDaemon], keys: Keys) -> str:
    """A daemon's address on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    listen = Listen(zmq_server_key_file=str(keys.file), zmq_client_keys=(keys.public.decode(),))
    await new_daemon(msgspec.structs.replace(QUICK, zmq=address, listen=listen)).start()
    return address


@pytest.fixture
async def dealer() -> AsyncIterator[Any]:
    context = zmq.asyncio.Context()
    made = context.socket(zmq.DEALER)
    made.linger = 0
    yield made
    made.close()
    context.term()


async def test_over_tcp_a_program_with_an_allowed_key_is_served(endpoint: str, keys: Keys, dealer: Any) -> None:
    dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = keys.server_public, keys.public, keys.secret
    dealer.connect(endpoint)
    await dealer.send(b'{"jsonrpc":"2.0","id":1,"method":"deadletter.list"}')
    async with asyncio.timeout(10):
        assert b'"result"' in await dealer.recv()


@pytest.mark.parametrize("with_a_key", [True, False], ids=["another key", "no key"])
async def test_over_tcp_any_other_program_is_refused(endpoint: str, keys: Keys, dealer: Any, with_a_key: bool) -> None:
    if with_a_key:
        dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        dealer.curve_serverkey = keys.server_public
    refused = zmq.EVENT_HANDSHAKE_FAILED_AUTH if with_a_key else zmq.EVENT_DISCONNECTED
    monitor = dealer.get_monitor_socket(refused | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    dealer.connect(endpoint)
    await dealer.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}')
    async with asyncio.timeout(10):
        happened = await recv_monitor_message(monitor)
    dealer.disable_monitor()
    monitor.close()
    assert happened["event"] == refused
    assert await dealer.poll(0) == 0


async def test_a_last_line_without_its_end_is_answered_too(daemon: RunningDaemon) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket_path))
    writer.write(b'{"jsonrpc":"2.0","id":1,"method":"task.list","params":{}}')
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == b'{"jsonrpc":"2.0","id":1,"result":{"tasks":[]}}\n'
    writer.close()
    await writer.wait_closed()


async def test_watchers_over_zeromq_that_have_gone_are_forgotten_without_news_when_there_are_many(
    new_daemon: Callable[..., RunningDaemon], folder: Path, plain: PlainServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, zmq=f"ipc://{folder}/d.zmq"))
    await daemon.start()
    for number in range(600):
        await daemon.call("task.create", title="T", task_id=f"t{number}", base_url=plain.url)
    await daemon.flush()
    context = zmq.asyncio.Context()
    for begin in range(0, 600, 200):
        watchers = [context.socket(zmq.DEALER) for _ in range(200)]
        for number, watcher in enumerate(watchers, begin):
            watcher.linger = 0
            watcher.connect(f"ipc://{folder}/d.zmq")
            await watcher.send(b'{"jsonrpc":"2.0","id":1,"method":"interrupt.watch","params":{"task_id":"t%d"}}' % number)
        for watcher in watchers:
            assert await watcher.poll(5000)
            watcher.close()
    context.term()
    assert len(daemon.services.interrupts.awaited) < 500

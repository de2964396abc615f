"""ZeroMQ over TCP: nothing without a key of one's own, nothing with a key that is not on the list."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from support.daemon_process import DaemonProcess, environment, run_to_end

ASK = b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}'


@dataclass(frozen=True)
class Keys:
    """One side's pair."""

    public: bytes
    secret: bytes

    @classmethod
    def new(cls) -> Keys:
        return cls(*zmq.curve_keypair())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def ask(endpoint: str, server: bytes | None, own: Keys | None, patience_s: float) -> bytes | None:
    """What a client with these keys is answered; None when nothing."""
    context = zmq.asyncio.Context()
    sock = context.socket(zmq.DEALER)
    sock.linger = 0
    if server is not None and own is not None:
        sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = server, own.public, own.secret
    try:
        sock.connect(endpoint)
        await sock.send(ASK)
        async with asyncio.timeout(patience_s):
            return bytes((await sock.recv_multipart())[-1])
    except TimeoutError:
        return None
    finally:
        sock.close()
        context.term()


async def test_only_a_client_on_the_list_that_knows_the_server_is_answered(
    new_process: Callable[..., DaemonProcess], folder: Path
) -> None:
    server, friend, stranger = Keys.new(), Keys.new(), Keys.new()
    (folder / "secret").write_bytes(server.secret)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config = folder / "clawlog.toml"
    config.write_text(
        f'zmq = "{endpoint}"\n[listen]\nzmq_server_key_file = "{folder / "secret"}"\n'
        f'zmq_client_keys = ["{friend.public.decode()}"]\n'
    )
    process = await new_process().start("--config", str(config))
    answer = await ask(endpoint, server.public, friend, 10)
    assert answer is not None
    assert json.loads(answer)["result"]["pid"] == process.process.pid
    refused = await asyncio.gather(
        ask(endpoint, server.public, stranger, 1.0),  # not on the list
        ask(endpoint, stranger.public, friend, 1.0),  # takes another for the server
        ask(endpoint, server.public, Keys(friend.public, stranger.secret), 1.0),  # has a friend's public key alone
        ask(endpoint, None, None, 1.0),  # speaks in the clear
    )
    assert refused == [None] * 4
    assert server.secret.decode() not in process.log
    answer = await ask(endpoint, server.public, friend, 10)
    assert answer is not None  # nobody kept a friend out


async def test_a_client_that_a_reload_puts_on_the_list_is_answered(
    new_process: Callable[..., DaemonProcess], folder: Path
) -> None:
    server, friend, later = Keys.new(), Keys.new(), Keys.new()
    (folder / "secret").write_bytes(server.secret)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config = folder / "clawlog.toml"
    text = f'zmq = "{endpoint}"\n[listen]\nzmq_server_key_file = "{folder / "secret"}"\nzmq_client_keys = '
    config.write_text(text + json.dumps([friend.public.decode()]))
    process = await new_process().start("--config", str(config))
    assert await ask(endpoint, server.public, later, 0.5) is None
    config.write_text(text + json.dumps([later.public.decode()]))
    process.notifications.clear()
    process.process.send_signal(signal.SIGHUP)
    await process.until_notified("READY=1")
    assert await ask(endpoint, server.public, later, 10) is not None
    assert await ask(endpoint, server.public, friend, 0.5) is None


@pytest.mark.parametrize("missing", ["both", "zmq_server_key_file", "zmq_client_keys"])
async def test_without_keys_it_does_not_start(folder: Path, missing: str) -> None:
    server, friend = Keys.new(), Keys.new()
    (folder / "secret").write_bytes(server.secret)
    lines = {
        "zmq_server_key_file": f'zmq_server_key_file = "{folder / "secret"}"',
        "zmq_client_keys": f'zmq_client_keys = ["{friend.public.decode()}"]',
    }
    kept = [] if missing == "both" else [line for name, line in lines.items() if name != missing]
    (folder / "clawlog.toml").write_text("\n".join(['zmq = "tcp://127.0.0.1:5999"', "[listen]", *kept]))
    status, _, err = await run_to_end(folder, "--config", str(folder / "clawlog.toml"))
    assert status == 2
    assert "zmq: tcp://127.0.0.1:5999 is reachable by others, so it wants listen.zmq_server_key_file" in err
    assert not (folder / "state").exists()


@pytest.mark.parametrize("content", [None, "", "not a key", "x" * 39])
async def test_a_key_file_that_holds_no_key_is_refused_without_its_content(folder: Path, content: str | None) -> None:
    if content is not None:
        (folder / "secret").write_text(content)
    (folder / "clawlog.toml").write_text(
        f'zmq = "tcp://127.0.0.1:{free_port()}"\n[listen]\nzmq_server_key_file = "{folder / "secret"}"\n'
        f'zmq_client_keys = ["{Keys.new().public.decode()}"]\n'
    )
    env = environment(folder, CLAWLOG_SOCKET=str(folder / "run" / "d.sock"))
    status, _, err = await run_to_end(folder, "--config", str(folder / "clawlog.toml"), env=env)
    assert status == 2
    assert f"listen.zmq_server_key_file: {folder / 'secret'}: no CURVE secret key" in err
    assert not content or content not in err


@pytest.mark.parametrize("endpoint", ["inproc://x", "ipc://relative", "pgm://127.0.0.1;1", "tcp"])
async def test_an_endpoint_of_another_kind_is_refused(folder: Path, endpoint: str) -> None:
    status, _, err = await run_to_end(folder, "--zmq", endpoint)
    assert status == 2
    assert "expected ipc:///absolute/path or tcp://address:port" in err

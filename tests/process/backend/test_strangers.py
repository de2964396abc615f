"""Connections of those who have shown nothing yet take no place from those who have; and what they do is hardly logged."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.backend_process import BackendProcess

TOKEN = "a-token-of-some-length"
IDLE = 7_200


@pytest.fixture
def start_backend(tmp_path: Path) -> Iterator[Callable[..., BackendProcess]]:
    """Starts backends' processes, which are ended with the test."""
    started: list[BackendProcess] = []

    def start(**options: Any) -> BackendProcess:
        started.append(BackendProcess(tmp_path, **options))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.stop()


def ask(backend: BackendProcess) -> int:
    request = urllib.request.Request(f"{backend.url}/api/tasks", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def log_of(folder: Path) -> str:
    return next(folder.rglob("backend.log")).read_text()


def test_seven_thousand_idle_connections_keep_nobody_out(start_backend: Callable[..., BackendProcess]) -> None:
    backend = start_backend(token=TOKEN)
    idle: list[socket.socket] = []
    try:
        for _ in range(IDLE):
            stranger = socket.create_connection(("127.0.0.1", backend.port), timeout=10)
            idle.append(stranger)
        assert ask(backend) == 200
    finally:
        for stranger in idle:
            stranger.close()
    assert ask(backend) == 200


def test_a_stranger_that_says_nothing_is_let_go_soon(start_backend: Callable[..., BackendProcess]) -> None:
    backend = start_backend(token=TOKEN)
    with socket.create_connection(("127.0.0.1", backend.port), timeout=8) as stranger:
        assert stranger.recv(1) == b""


def test_one_without_the_token_does_not_stay_after_its_answer(start_backend: Callable[..., BackendProcess]) -> None:
    backend = start_backend(token=TOKEN)
    with socket.create_connection(("127.0.0.1", backend.port), timeout=8) as stranger:
        stranger.sendall(b"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while chunk := stranger.recv(65_536):
            received += chunk
        assert received.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("path", ["/api/tasks", "/api/events", "/api/control/poll", "/api/session"])
async def test_bodies_that_are_cut_off_are_a_line_and_no_stack_trace(
    start_backend: Callable[..., BackendProcess], tmp_path: Path, path: str
) -> None:
    backend = start_backend()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
    for _ in range(50):
        reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
        writer.write(head + b'{"title": "cut')
        await writer.drain()
        await asyncio.sleep(0.002)  # so that its request is begun
        writer.transport.abort()
        with suppress(ConnectionError):
            await reader.read()
    assert await asyncio.to_thread(backend.call, "GET", "/healthz")
    logged = log_of(tmp_path)
    assert "Traceback" not in logged
    assert logged.count("\n") < 10

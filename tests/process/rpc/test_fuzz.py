"""Whatever callers send: the daemon lives, every request that is one is answered, and nothing grows beyond its bounds."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import pytest

from support.callers import Caller, DealerCaller
from support.daemon_process import DaemonProcess
from support.floods import ROOM_BYTES, memory_bytes
from support.hostile_callers import Lines
from support.plain_server import PlainServer

LINES = int(os.environ.get("CLAWLOG_TEST_FUZZ_LINES", "1500"))
TOGETHER = 50


class Answers:
    """What comes back to one caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._waiting: set[str] = set()

    async def exchange(self, lines: list[tuple[bytes, str | None]], mark: str) -> None:
        """Sends lines, and returns when each that is certain of an answer has had its one."""
        due = {name for _, name in lines if name is not None} | {mark}
        for line, _ in lines:
            if line.strip():
                await self._caller.send(line)
        await self._caller.send(b'{"jsonrpc":"2.0","id":"%s","method":"task.get","params":{"task_id":"t"}}' % mark.encode())
        while mark in due:
            got = json.loads(await self._caller.receive())
            for each in got if isinstance(got, list) else [got]:
                assert each["jsonrpc"] == "2.0", each
                assert ("result" in each) + ("error" in each) + ("method" in each) == 1, each
                if "error" in each:
                    assert each["error"]["code"] != -32603, each
                if isinstance(name := each.get("id"), str) and name in due:
                    due.remove(name)
        assert due == set(), "requests without an answer"


@pytest.mark.parametrize("way", ["unix", "zeromq"])
async def test_no_line_ends_it_or_stays_without_its_answer(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, way: str
) -> None:
    process = new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_TASKS_MAX_KNOWN="300", CLAWLOG_LOG_LEVEL="error")
    endpoint = f"ipc://{process.folder}/d.zmq"
    await process.start("--zmq", endpoint)
    caller: Caller = await process.connect() if way == "unix" else DealerCaller(endpoint)
    answers, lines = Answers(caller), Lines(seed=LINES)
    before = memory_bytes(process.process.pid)
    for number in range(LINES // TOGETHER):
        await answers.exchange([lines.next() for _ in range(TOGETHER)], f"mark{number}")
    assert memory_bytes(process.process.pid) - before < ROOM_BYTES
    assert "Traceback" not in process.log, process.log[-3000:]
    await caller.close()
    assert await process.stop() == 0


async def test_callers_that_leave_in_the_middle_of_a_line_harm_nobody(process: DaemonProcess) -> None:
    lines = Lines(seed=1)
    for number in range(200):
        _, writer = await asyncio.open_unix_connection(str(process.socket_path))
        data = b"\n".join(lines.next()[0] for _ in range(5))
        writer.write(data[: 1 + (number * 7919) % len(data)])
        writer.transport.abort() if number % 2 else writer.close()
    assert (await process.call("daemon.status"))["pid"] == process.process.pid
    assert "Traceback" not in process.log

"""A stop is told whatever its words are: to who asks, to who only looks at a file, and to the command that it starts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backend_process import BackendProcess
from support.daemon_process import DaemonProcess, environment
from support.hostile_server import Answer, HostileServer
from support.hostile_texts import TEXTS, unclean, unclean_lines
from support.running_daemon import until

SCRIPTS = Path(__file__).parents[3] / "scripts"
NAMES = list(TEXTS)


@pytest.fixture(scope="module")
def embedded_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    backend = BackendProcess(tmp_path_factory.mktemp("embedded"))
    backend.start()
    yield backend
    backend.stop()


async def script(process: DaemonProcess, name: str, *arguments: str) -> tuple[int, str, str]:
    env = environment(process.folder, CLAWLOG_SOCKET=str(process.socket_path), CLAWLOG_AUTOSTART="0")
    ran = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPTS / f"{name}.py"),
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        stdout, stderr = await ran.communicate()
    assert ran.returncode is not None
    return ran.returncode, stdout.decode(), stderr.decode()


async def ask_for_stops(process: DaemonProcess, server: HostileServer, member: str) -> dict[str, dict[str, Any]]:
    """One task for each text, with a stop that has it as one member; what ``interrupt.check`` answers for each, by task."""
    for number, text in enumerate(TEXTS.values()):
        task_id = f"{member}-{number}"
        control = {"interrupt_id": f"s{number}", "reason": "r", "requested_at": "2026-02-28T09:00:00.000Z", member: text}
        await process.call("task.create", title="T", task_id=task_id, base_url=server.url)
        server.ask_to_stop(task_id, **control)
    found = {}
    for number, name in enumerate(NAMES):
        task_id = f"{member}-{number}"
        found[task_id] = await process.call("interrupt.check", task_id=task_id, wait_s=10)
        assert found[task_id]["state"] == "requested", name
    return found


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])
async def test_a_stop_with_any_words_is_told_cleanly_and_can_be_acknowledged(
    process: DaemonProcess, new_hostile: Any, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    found: dict[str, dict[str, Any]] = {}
    for member in ("reason", "interrupt_id", "mode", "requested_at"):
        found |= await ask_for_stops(process, server, member)
    assert unclean(found) == []
    assert unclean(await process.call("task.list")) == []
    for task_id, stop in found.items():
        # Line by line, as a hook in a shell reads it: the id, then the reason.
        lines = (process.state_dir / "run" / "stop" / task_id).read_text(encoding="utf-8").split("\n")
        assert lines == [stop["interrupt_id"], stop["reason"] or "", ""], task_id
        if stop["requested_at"] is not None:
            assert stop["requested_at"].startswith("2026-02-28T09:00:00"), task_id
        await process.call("interrupt.ack", task_id=task_id, interrupt_id=stop["interrupt_id"])
    await server.until(lambda: all(server.tasks[task_id]["status"] == "interrupted" for task_id in found))
    assert unclean_lines(process.log) == []
    await process.stop()
    await process.start()
    assert (await process.call("deadletter.list"))["dead_letters"] == []


@pytest.mark.parametrize("name", ["NUL", "line breaks", "escape", "DEL and C1", "bidi", "long"])
async def test_the_command_runs_whatever_the_reason_of_the_embedded_backend_is(
    process: DaemonProcess, embedded_backend: BackendProcess, name: str
) -> None:
    task_id = f"stopped-{NAMES.index(name)}"
    await process.call("task.create", title="T", task_id=task_id, base_url=embedded_backend.url)
    await process.call("daemon.flush", timeout_s=10)
    embedded_backend.call("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": TEXTS[name][:1000]})
    told = process.folder / "told"
    program = process.folder / "act"
    program.write_text(f'#!/bin/sh\nprintf %s "$CLAWLOG_STOP_REASON" > {told}\n')
    program.chmod(0o755)
    status, stdout, stderr = await script(
        process, "poll_interrupt", "--task-id", task_id, "--timeout", "10", "--exec", str(program)
    )
    assert (status, stderr) == (20, "")
    state = json.loads(stdout)
    assert unclean(state) == []
    assert told.read_text(encoding="utf-8") == (state["reason"] or "")


async def test_a_cursor_that_cannot_be_sent_back_ends_no_watch(process: DaemonProcess, hostile: HostileServer) -> None:
    cursors = iter([*TEXTS.values(), 2**200, [], {}, None])

    def odd_cursor(asked: Any) -> Any:
        if not asked.path.endswith("/control/poll"):
            return None
        cursor = next(cursors, None)
        return None if cursor is None else Answer(body={"cursor": cursor, "controls": []})

    hostile.poison = odd_cursor
    await process.call("task.create", title="T", task_id="t", base_url=hostile.url)
    hostile.ask_to_stop("t", interrupt_id="s1")

    async def stopping() -> bool:
        return bool((await process.call("task.get", task_id="t"))["stop"]["state"] == "requested")

    await until(stopping)

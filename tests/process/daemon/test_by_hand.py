"""A person with a shell reaches the daemon."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable

import pytest

from support.daemon_process import DaemonProcess


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
async def test_the_line_that_the_documents_show_is_answered(process: DaemonProcess) -> None:
    shell = await asyncio.create_subprocess_shell(
        r"""printf '{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n' | nc -UN "$CLAWLOG_SOCKET" """,
        env=process.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(10):
        out, err = await shell.communicate()
    assert (shell.returncode, err) == (0, b"")
    assert out.count(b"\n") == 1
    reply = json.loads(out)
    assert (reply["id"], reply["result"]["pid"]) == (1, process.process.pid)


@pytest.mark.parametrize("style", ["text", "json", "journal"])
async def test_the_log_is_one_line_per_event_in_the_chosen_form(new_process: Callable[..., DaemonProcess], style: str) -> None:
    process = await new_process().start("--log-format", style)
    await process.stop()
    lines = process.log.splitlines()
    ready = next(line for line in lines if "ready" in line)
    if style == "json":
        entries = [json.loads(line) for line in lines]
        assert {"event": "ready", "level": "info", "logger": "clawlogd.app"}.items() <= entries[0].items()
        assert entries[0]["socket"] == str(process.socket_path)
    elif style == "journal":
        assert ready.startswith("<6>ready ")
    else:
        assert " INFO    clawlogd.app ready " in ready
        assert f"socket={process.socket_path}" in ready

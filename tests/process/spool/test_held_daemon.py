"""A daemon that was held for a while (SIGSTOP) finds calls in its socket whose callers have left and spooled them."""

from __future__ import annotations

import json
import os
import signal
import socket

from clawlog.protocol.ids import new_uuid
from support.daemon_process import DaemonProcess
from support.running_daemon import until
from support.spooling import files, keep


def leave_behind(process: DaemonProcess, *requests: tuple[str, dict[str, object]]) -> None:
    """Sends requests, and leaves without a reply."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(process.socket_path))
        for number, (method, params) in enumerate(requests, 1):
            caller.sendall(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")


async def test_calls_whose_callers_have_left_count_once_and_their_questions_are_dropped(process: DaemonProcess) -> None:
    await process.call("task.create", title="T", task_id="t")
    os.kill(process.process.pid, signal.SIGSTOP)
    for number in range(3):
        report: dict[str, object] = {"task_id": "t", "status": "running", "event_id": new_uuid(), "summary": f"{number}"}
        leave_behind(process, ("task.update", report), ("interrupt.check", {"task_id": "t"}))
        keep(process.state_dir, "task.update", **report)
        leave_behind(process, ("interrupt.check", {"task_id": "t"}))
        leave_behind(process, ("interrupt.check", {"task_id": "t", "wait_s": 5}))
    os.kill(process.process.pid, signal.SIGCONT)
    await until(lambda: files(process.state_dir) == [])
    assert (await process.call("task.get", task_id="t"))["summary"] == "2"
    assert (await process.call("daemon.status"))["outbox"]["pending"] == 4
    assert files(process.state_dir, "spool/refused") == []
    assert await process.stop() == 0
    assert "never awaited" not in process.log

"""A process id is a name within a namespace: the daemon takes it for what its caller means by it, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from support.daemon_process import DaemonProcess
from support.running_daemon import until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root may make a pid namespace"),
]

AS_CALLER = """
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
pid = os.getpid() if sys.argv[2] == "own" else int(sys.argv[2])
params = {"title": "T", "task_id": "t", "watch_pid": pid}
s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "task.create", "params": params}).encode() + b"\\n")
print(s.makefile().readline(), flush=True)
sys.stdin.readline()
"""

OVER_ZEROMQ = """
import json, os, sys, zmq
s = zmq.Context().socket(zmq.DEALER)
s.linger = 0
if len(sys.argv) > 3:
    s.routing_id = sys.argv[3].encode()
s.connect("ipc://" + sys.argv[1])
pid = os.getpid() if sys.argv[2] == "own" else int(sys.argv[2])
params = {"title": "T", "task_id": "t", "watch_pid": pid}
s.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "task.create", "params": params}).encode())
print(s.recv().decode(), flush=True)
sys.stdin.readline()
os._exit(0)
"""


async def container(
    process: DaemonProcess, pid: str, *more: str, forked: bool = False, program: str = AS_CALLER, where: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    """A program in a pid namespace of its own that creates a task; it lives until its stdin ends."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if forked:
        command += ["sh", "-c", '"$@"; exit', "sh"]  # so that the program is not the namespace's first process
    running = await asyncio.create_subprocess_exec(
        *command, sys.executable, "-c", program, str(where or process.socket_path), pid, *more,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    async with asyncio.timeout(10):
        return running, json.loads(await running.stdout.readline())


async def end(program: Any) -> None:
    program.stdin.close()
    async with asyncio.timeout(10):
        await program.wait()


@pytest.mark.parametrize("forked", [False, True])
async def test_a_container_s_own_process_is_watched_by_its_number_out_here(process: DaemonProcess, forked: bool) -> None:
    program, answer = await container(process, "own", forked=forked)
    assert "result" in answer, answer
    watched = (await process.call("task.get", task_id="t"))["liveness"]["watch_pid"]
    assert watched != 1
    assert AS_CALLER[:20].encode() in Path(f"/proc/{watched}/cmdline").read_bytes()  # noqa: ASYNC240 - of /proc
    await end(program)

    async def lost() -> bool:
        return bool((await process.call("task.get", task_id="t"))["liveness"]["state"] == "lost")

    await until(lost)


async def test_over_zeromq_too_a_container_s_number_is_not_taken_for_one_out_here(new_process: Any, folder: Path) -> None:
    where = folder / "z.sock"
    process = await new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9", CLAWLOG_ZMQ=f"ipc://{where}").start()
    program, answer = await container(process, str(os.getpid()), program=OVER_ZEROMQ, where=where)
    assert (answer["error"]["code"], answer["error"]["data"]["field"]) == (-32602, "watch_pid")
    await end(program)
    program, answer = await container(process, "1", forked=True, program=OVER_ZEROMQ, where=where)
    assert "result" in answer, answer
    watched = (await process.call("task.get", task_id="t"))["liveness"]["watch_pid"]
    assert b"unshare" not in Path(f"/proc/{watched}/cmdline").read_bytes()  # noqa: ASYNC240 - of /proc
    assert watched != 1
    await end(program)


async def test_over_zeromq_who_takes_over_another_caller_s_address_is_not_taken_for_it(new_process: Any, folder: Path) -> None:
    where = folder / "z.sock"
    process = await new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9", CLAWLOG_ZMQ=f"ipc://{where}").start()
    context = zmq.asyncio.Context()
    with context.socket(zmq.DEALER) as out_here:
        out_here.linger, out_here.routing_id = 0, b"known"
        out_here.connect(f"ipc://{where}")
        params = {"title": "T", "task_id": "mine", "watch_pid": os.getpid()}
        await out_here.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "task.create", "params": params}).encode())
        assert "result" in json.loads(await out_here.recv())
        await out_here.send(b'{"jsonrpc":"2.0","id":2,"method":"interrupt.watch","params":{"task_id":"mine"}}')
        await out_here.recv()  # so that the daemon does not forget it
        program, answer = await container(process, str(os.getpid()), "known", program=OVER_ZEROMQ, where=where)
        assert (answer["error"]["code"], answer["error"]["data"]["field"]) == (-32602, "watch_pid")
        await end(program)
    context.term()


async def test_a_number_that_only_somebody_out_here_has_is_refused(
    process: DaemonProcess,
) -> None:
    program, answer = await container(process, str(os.getpid()))
    assert answer["error"]["code"] == -32602, answer
    assert answer["error"]["data"]["field"] == "watch_pid"
    await end(program)


async def test_a_caller_whose_namespace_cannot_be_seen_is_told_to_leave_it_out(new_process: Any, folder: Path) -> None:
    """The daemon is the one in a container, and the caller is outside of it."""
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    wrapped = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *process.command]
    await process.start(command=wrapped)
    caller = await process.connect()
    params = {"title": "T", "task_id": "t", "watch_pid": 1}
    await caller.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "task.create", "params": params}).encode())
    refused = json.loads(await caller.receive())
    assert refused["error"]["code"] == -32602, refused
    assert refused["error"]["data"]["field"] == "watch_pid"
    assert "namespace" in refused["error"]["message"]
    await caller.send(b'{"jsonrpc":"2.0","id":2,"method":"task.create","params":{"title":"T"}}')
    assert "result" in json.loads(await caller.receive())
    await caller.close()
    children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()  # noqa: ASYNC240
    os.kill(int(children[0]), signal.SIGTERM)  # unshare itself does not heed it while it waits
    await process.ended()


async def test_a_number_in_a_spooled_call_of_another_namespace_is_not_taken_for_one_here(
    new_process: Any, folder: Path
) -> None:
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    script = Path(__file__).parents[3] / "scripts" / "create_task.py"
    env = {**process.env, "CLAWLOG_AUTOSTART": "0"}
    program = await asyncio.create_subprocess_exec(
        "unshare", "--pid", "--fork", "--mount-proc", sys.executable, str(script), "--title", "T", "--task-id", "t",
        "--watch-pid", "1", env=env,
    )  # fmt: skip
    async with asyncio.timeout(20):
        assert await program.wait() == 0
    await process.start()
    assert (await process.call("task.get", task_id="t"))["liveness"]["watch_pid"] is None


WITH_THE_LIBRARY = """
import clawlog
with clawlog.task("T", ["a"], task_id="t") as task, task.step("a"):
    pass
"""


@pytest.mark.parametrize("way", ["library", "run"])
async def test_a_process_that_nobody_named_is_left_out_where_it_cannot_be_seen(
    new_process: Any, folder: Path, way: str
) -> None:
    """The daemon is the one in a container, as above."""
    process = new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9")
    await process.start(command=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *process.command])
    library = [sys.executable, "-c", WITH_THE_LIBRARY]
    clawlog = str(Path(sys.executable).with_name("clawlog"))
    command = library if way == "library" else [clawlog, "run", "--title", "T", "--", "sleep", "0.5"]
    program = await asyncio.create_subprocess_exec(*command, env=process.env, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        _, said = await program.communicate()
    assert (program.returncode, said) == (0, b"")
    (task,) = (await process.call("task.list"))["tasks"]
    assert (task["title"], task["status"], task["liveness"]["watch_pid"]) == ("T", "done", None)
    children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()  # noqa: ASYNC240
    os.kill(int(children[0]), signal.SIGTERM)
    await process.ended()

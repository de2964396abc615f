"""The documents' clients in other languages, run as they stand: each reports a task to its end, and obeys a stop."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

CLIENTS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "clients"


def where(program: str, *command: str) -> object:
    """A client, where what runs it is installed."""
    marks = pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")
    return pytest.param(command, marks=marks, id=program)


every_client = pytest.mark.parametrize(
    "command",
    [
        where("node", "node", str(CLIENTS / "client.mjs")),
        where("go", "go", "run", str(CLIENTS / "client.go")),
        where("socat", "sh", str(CLIENTS / "client.sh")),
        where("nc", "env", "PATH=PATH-WITHOUT-SOCAT", "sh", str(CLIENTS / "client.sh")),
    ],
)


TITLE = 'A "quoted" title \\ 部署'
SHELL_TOOLS = ("sh", "nc", "sed", "tr")


async def run(command: tuple[str, ...], seconds: str, daemon: RunningDaemon, folder: Path) -> str:
    """What a client prints; it has to end well."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for tool in SHELL_TOOLS:
        if (found := shutil.which(tool)) is not None and not (tools / tool).exists():
            (tools / tool).symlink_to(found)
    arguments = [each.replace("PATH-WITHOUT-SOCAT", str(tools)) for each in command]
    env = {**os.environ, "CLAWLOG_SOCKET": f"unix:{daemon.socket_path}"}
    process = await asyncio.create_subprocess_exec(
        *arguments, TITLE, seconds, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode().rstrip("\n")


@every_client
async def test_a_client_obeys_a_stop_and_reports_a_task_to_its_end(
    command: tuple[str, ...], new_daemon: Callable[..., RunningDaemon], plain: PlainServer, folder: Path
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=plain.url))
    await daemon.start()
    running = asyncio.ensure_future(run(command, "60", daemon, folder))
    await until(
        lambda: running.done() or any(task.steps and task.steps[0].status == "running" for task in plain.tasks.values())
    )
    plain.ask_to_stop(plain.only_task.task_id, 'the "wrong" branch')
    told = await running
    (stopped,) = (await daemon.call("task.list"))["tasks"]
    assert told.startswith(f"{stopped['task_id']} stopped: the ")
    assert (stopped["title"], stopped["stop"]["state"]) == (TITLE, "acknowledged")
    assert [step["status"] for step in stopped["steps"]] == ["running", "pending", "pending"]
    told = await run(command, "0", daemon, folder)
    done = (await daemon.call("task.list"))["tasks"][0]
    assert (told, done["status"]) == (f"{done['task_id']} done", "done")
    assert [(step["status"], step["summary"]) for step in done["steps"]] == [
        ("done", f"{title} is done") for title in ("fetch", "build", "publish")
    ]


@pytest.mark.parametrize("client", sorted(CLIENTS.iterdir()), ids=lambda path: path.name)
def test_a_client_is_short(client: Path) -> None:
    assert len(client.read_text(encoding="utf-8").splitlines()) <= 60

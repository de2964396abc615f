"""What a new task is told to be of without anybody having said it: in its metadata, from its caller's folder."""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlog.protocol.errors import RpcError
from clawlog.protocol.ids import new_uuid
from clawlogd.settings import Metadata, Settings
from clawlogd.tasks import detector
from clawlogd.tasks.checkout import Checkout
from clawlogd.verbs import tasks
from support.callers import call
from support.running_daemon import QUICK, RunningDaemon
from support.spooling import keep

HOST, USER = os.uname().nodename, pwd.getpwuid(os.geteuid()).pw_name
AUTOMATIC = msgspec.structs.replace(QUICK, metadata=Metadata())


@pytest.fixture
async def automatic(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon with the settings by default."""
    started = new_daemon(AUTOMATIC)
    await started.start()
    return started


@pytest.fixture
def project(tmp_path: Path) -> str:
    git = tmp_path / "shop" / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    below = git.parent / "src"
    below.mkdir()
    return str(below)


async def metadata(daemon: RunningDaemon, **params: Any) -> dict[str, str]:
    """The metadata of a new task."""
    created = await daemon.call("task.create", title="T", **params)
    found: dict[str, str] = (await daemon.call("task.get", task_id=created["task_id"]))["metadata"]
    return found


async def test_a_new_task_is_of_its_callers_project_branch_folder_host_and_user(automatic: RunningDaemon, project: str) -> None:
    assert await metadata(automatic, cwd=project, metadata={"agent": "claude-code"}) == {
        "agent": "claude-code",
        "project": "shop",
        "host": HOST,
        "branch": "main",
        "cwd": project,
        "user": USER,
    }
    assert await metadata(automatic) == {"host": HOST, "user": USER}


async def test_another_machines_backend_is_not_told_of_user_folder_and_command_unless_that_is_set(
    automatic: RunningDaemon, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "is_this_machine", lambda _: False)
    given = {"command": "make"}
    assert await metadata(automatic, cwd=project, metadata=given) == {"project": "shop", "host": HOST, "branch": "main"}
    live = automatic.services.live_settings
    live.now = msgspec.structs.replace(live.now, metadata=Metadata(private_to_remote=True))
    assert (await metadata(automatic, cwd=project, metadata=given)).keys() >= {"command", "cwd", "user"}


async def test_it_can_be_switched_off(daemon: RunningDaemon, project: str) -> None:
    assert Settings().metadata.automatic
    assert not daemon.settings.metadata.automatic
    assert await metadata(daemon, cwd=project, metadata={"a": "b"}) == {"a": "b"}


@pytest.mark.parametrize("cwd", ["", "relative", "/" + "x" * 4096, 7])
async def test_a_folder_that_is_none_is_refused(automatic: RunningDaemon, cwd: Any) -> None:
    with pytest.raises(RpcError) as refused:
        await automatic.call("task.create", title="T", cwd=cwd)
    assert refused.value.data["field"] == "cwd"


@pytest.mark.parametrize("cwd", ["/nowhere/at/all", "/a\0b", "/" + "x" * 4095, "/proc/self/mem", "/\u202e"])
async def test_a_folder_that_cannot_be_read_costs_no_call(automatic: RunningDaemon, cwd: str) -> None:
    found = await metadata(automatic, cwd=cwd)
    assert (found["host"], "project" in found) == (HOST, False)


async def test_a_spooled_task_is_not_said_to_be_of_the_branch_of_now(
    new_daemon: Callable[..., RunningDaemon], project: str
) -> None:
    daemon = new_daemon(AUTOMATIC)
    keep(daemon.state_dir, "task.create", title="T", task_id="t", cwd=project)
    await daemon.start()
    found = (await daemon.call("task.get", task_id="t"))["metadata"]
    assert (found["project"], found["cwd"], "branch" in found) == ("shop", project, False)


# ── While a folder is read ─────────────────────────────────────────────────────────────────────────────────────────


def slowly(folder: str) -> Checkout:
    time.sleep(0.02)
    return Checkout(folder, None)


async def test_the_same_call_twice_at_once_is_one_task(automatic: RunningDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "find_checkout", slowly)
    params = {"title": "T", "event_id": new_uuid(), "cwd": "/a"}
    callers = [await automatic.connect() for _ in range(5)]
    replies = await asyncio.gather(*(call(each, "task.create", **params) for each in callers))
    assert [reply == replies[0] for reply in replies] == [True] * 5
    assert (await automatic.call("daemon.status"))["tasks"]["known"] == 1


async def test_another_call_with_its_event_id_meanwhile_is_a_mistake(
    automatic: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "find_checkout", slowly)
    callers = [await automatic.connect() for _ in range(2)]
    event_id = new_uuid()
    calls = [
        call(each, "task.create", title="T", task_id=f"t-{number}", event_id=event_id, cwd="/a")
        for number, each in enumerate(callers)
    ]
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert not isinstance(first, BaseException)
    assert isinstance(second, RpcError)
    assert second.data["reason"] == "key_reused"


async def test_what_follows_on_the_same_connection_comes_after_it(
    automatic: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "find_checkout", slowly)
    caller = await automatic.connect()
    await caller.send_bytes(
        b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"T","task_id":"t","steps":["a"],"cwd":"/a"}}\n'
        b'{"jsonrpc":"2.0","id":2,"method":"step.update","params":{"task_id":"t","step":1,"status":"done"}}\n'
    )
    assert b'"task_id":"t"' in await caller.receive()
    assert b'"accepted":true' in await caller.receive()


async def test_other_callers_are_served_while_a_disk_does_not_answer(
    automatic: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_: str) -> None:
        loop.call_soon_threadsafe(read.set)
        time.sleep(0.3)

    monkeypatch.setattr(detector, "find_checkout", hang)
    creating = asyncio.create_task(call(await automatic.connect(), "task.create", title="T", task_id="t", cwd="/far"))
    other = await automatic.connect()
    await read.wait()
    began = time.monotonic()
    await call(other, "task.list")
    assert time.monotonic() - began < 0.05
    await creating
    assert time.monotonic() - began < 0.25
    found = (await automatic.call("task.get", task_id="t"))["metadata"]
    assert found == {"host": HOST, "user": USER, "cwd": "/far"}

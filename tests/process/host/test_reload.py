"""A reload: what can change while the daemon runs does, the rest is named, a bad file changes nothing, nobody is cut off."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from support.callers import call
from support.daemon_process import DaemonProcess
from support.foreign.running import served
from support.foreign.written import IndexedServer
from support.plain_server import PlainServer

GOOD = "[summary]\nmax_chars = 100\n"


def write(path: Path, content: str | None) -> None:
    """What an operator's editor does; None takes the file away."""
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "clawlog.toml"
    write(path, GOOD)
    return path


async def hang_up(process: DaemonProcess) -> list[str]:
    """Asks for a reload; returns what the service manager was notified of until it was over."""
    process.notifications.clear()
    process.process.send_signal(signal.SIGHUP)
    await process.until_notified("READY=1")
    return process.notifications


async def test_the_manager_is_notified_when_it_begins_and_when_it_is_over(
    new_process: Callable[..., DaemonProcess], file: Path
) -> None:
    process = await new_process().start("--config", str(file))
    before_us = asyncio.get_running_loop().time() * 1e6  # asyncio's clock is the manager's: CLOCK_MONOTONIC
    notifications = [each for each in await hang_up(process) if not each.startswith("STATUS=")]
    assert notifications[0] == "RELOADING=1"
    name, _, began_us = notifications[1].partition("=")
    assert name == "MONOTONIC_USEC"
    assert before_us <= int(began_us) <= asyncio.get_running_loop().time() * 1e6
    assert notifications[2] == "READY=1"


async def test_what_can_change_does_and_no_caller_is_disconnected(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, file: Path
) -> None:
    process = await new_process().start("--config", str(file))
    caller = await process.connect()
    await call(caller, "task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    cut = await call(caller, "task.update", task_id="t", status="running", summary="x" * 90)
    assert "summary_truncated" not in cut
    write(file, 'log_level = "debug"\n[summary]\nmax_chars = 50\n[outbox]\nmax_events = 77\n[listen]\nmax_connections = 2\n')
    await hang_up(process)
    cut = await call(caller, "task.update", task_id="t", status="running", summary="x" * 90)
    assert cut["summary_truncated"] is True
    assert (await call(caller, "daemon.status"))["outbox"]["max_events"] == 77
    assert 'reloaded changed="log_level, outbox.max_events, summary.max_chars, listen.max_connections"' in process.log
    assert "DEBUG" not in process.log.partition("reloaded")[0]
    await caller.close()


async def test_another_backend_and_another_token_count_from_then_on(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, file: Path, folder: Path
) -> None:
    write(folder / "token", "the-new-one")
    process = await new_process().start("--config", str(file))
    write(file, f'base_url = "{plain.url}"\ntoken_file = "{folder / "token"}"\n')
    await hang_up(process)
    await process.call("task.create", title="T")
    await plain.until_events(1)
    assert plain.requests[0].headers["Authorization"] == "Bearer the-new-one"


async def test_every_setting_that_only_a_restart_changes_is_named_and_kept(
    new_process: Callable[..., DaemonProcess], file: Path, folder: Path
) -> None:
    process = await new_process().start("--config", str(file))
    write(file, 'metrics = "127.0.0.1:0"\nzmq = "ipc:///nowhere/x"\n[outbox]\nballast_bytes = 0\n[listen]\ngroup = "nobody"\n')
    await hang_up(process)
    assert "reloaded changed=summary.max_chars" in process.log  # it is no longer in the file
    assert 'restart_needed settings="zmq, metrics, outbox.ballast_bytes, listen.group"' in process.log
    status = await process.call("daemon.status")
    assert (status["zmq"], status["metrics"], status["healthy"]) == (None, None, True)
    await hang_up(process)
    assert process.log.count("restart_needed") == 2  # it is so until the restart


@pytest.mark.parametrize("content", ["[summary]\nmax_chars = 7\n", "max = 1\n", "[summary\n", None])
async def test_a_file_that_cannot_be_used_changes_nothing_and_is_reported_until_one_can(
    new_process: Callable[..., DaemonProcess], file: Path, content: str | None
) -> None:
    process = await new_process().start("--config", str(file))
    await process.call("task.create", title="T", task_id="t")
    write(file, content)
    await hang_up(process)
    (problem,) = [each for each in (await process.call("daemon.status"))["problems"] if "settings" in each]
    assert problem.startswith(f"the settings could not be read again, those from before are in force: {file}: ")
    assert "reload_failed" in process.log
    kept = await process.call("task.update", task_id="t", status="running", summary="x" * 99)
    assert "summary_truncated" not in kept
    cut = await process.call("task.update", task_id="t", status="running", summary="x" * 101)
    assert cut["summary_truncated"] is True
    write(file, GOOD)
    await hang_up(process)
    assert not [each for each in (await process.call("daemon.status"))["problems"] if "settings" in each]


async def test_a_caller_that_waits_for_a_stop_goes_on_waiting(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, file: Path
) -> None:
    process = await new_process().start("--config", str(file))
    await process.call("task.create", title="T", task_id="t", base_url=plain.url)
    await plain.until_events(1)
    caller = await process.connect()
    await caller.send(b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"t","wait_s":60}}')
    await hang_up(process)
    plain.ask_to_stop(plain.only_task.task_id)
    assert json.loads(await caller.receive())["result"]["state"] == "requested"
    await caller.close()


async def test_many_reloads_under_load_lose_nothing(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, file: Path
) -> None:
    process = await new_process().start("--config", str(file))
    caller = await process.connect()
    await call(caller, "task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    accepted: list[str] = []

    async def work() -> None:
        while True:
            accepted.append((await call(caller, "step.update", task_id="t", step=1, status="running"))["event_id"])

    async with asyncio.TaskGroup() as group:
        working = group.create_task(work())
        for number in range(20):
            write(file, f"[batch]\nmax_events = {1 + number}\n[heartbeat]\ninterval_s = {1 + number % 7}\n")
            await hang_up(process)
        working.cancel()
    await caller.close()
    assert (await process.call("daemon.flush", timeout_s=20))["flushed"] is True
    assert process.log.count("reloaded") == 20
    delivered = [each.key for each in plain.events[1:]]
    assert delivered[: len(accepted)] == accepted
    assert len(delivered) - len(accepted) <= 1  # the one whose answer was not read any more


async def test_a_contract_that_is_named_or_edited_counts_from_then_on(
    new_process: Callable[..., DaemonProcess], folder: Path, file: Path
) -> None:
    server = IndexedServer()
    with served(server.app) as url:
        process = await new_process().start("--config", str(file))
        contract = (await process.call("contract.show", base_url=url))["contract"]
        await process.call("task.create", title="T", base_url=url)
        assert (await process.call("daemon.flush", timeout_s=10))["flushed"]
        own = folder / "server.toml"
        write(file, f'[[backend]]\nbase_url = "{url}"\ncontract = "{own}"\n')
        await hang_up(process)
        shown = await process.call("contract.show", base_url=url)
        assert (shown["state"], shown["configured"]) == ("missing", str(own))
        assert str(own) in shown["detail"]
        await process.call("task.create", title="Waits", base_url=url)
        write(own, tomli_w.dumps(contract))
        await hang_up(process)
        assert (await process.call("contract.show", base_url=url))["source"] == str(own)
        assert (await process.call("daemon.flush", timeout_s=10))["flushed"]
        write(file, GOOD)
        await hang_up(process)
        shown = await process.call("contract.show", base_url=url)
        assert (shown["state"], shown["configured"]) == ("found", "auto")
    assert [task.title for task in server.held.tasks.values()] == ["T", "Waits"]

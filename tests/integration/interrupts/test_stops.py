"""A person's request to stop reaches the agent, and everyone can see how far it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import cast

import pytest

from clawlog.protocol.errors import RpcError
from clawlogd.context import CallContext
from clawlogd.interrupts.state import Control, InterruptStatus
from clawlogd.verbs import interrupts
from support.backend_process import BackendProcess
from support.callers import call
from support.plain_server import PlainServer
from support.running_backend import Api
from support.running_daemon import RunningDaemon, until


async def begin(daemon: RunningDaemon, url: str, task_id: str) -> None:
    await daemon.call("task.create", title="T", task_id=task_id, steps=["one"], base_url=url)
    await daemon.flush()


async def ask_to_stop(api: Api, task_id: str, reason: str) -> None:
    status, _ = await api("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": reason})
    assert status == 201


async def test_a_check_that_waits_returns_as_soon_as_a_stop_is_asked_for(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    await begin(daemon, embedded.url, "waits")
    check = asyncio.create_task(daemon.call("interrupt.check", task_id="waits", wait_s=60))
    await until(lambda: daemon.services.interrupts.awaited)
    await ask_to_stop(api, "waits", "wrong branch")
    known = await check
    assert known["state"] == "requested"
    assert known["reason"] == "wrong branch"
    assert known["mode"] == "soft_stop"
    assert known["age_s"] < 5


async def test_a_check_that_waits_in_vain_says_no_at_its_time(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url, "t")
    known = await daemon.call("interrupt.check", task_id="t", wait_s=0.3)
    assert (known["state"], known["interrupt_requested"], known["interrupt_id"]) == ("none", False, None)


async def test_a_check_that_allows_no_age_gets_the_backends_own_word(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url, "t")
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0))["state"] == "none"
    plain.ask_to_stop(plain.only_task.task_id)
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0))["state"] == "requested"


async def test_a_stop_that_comes_just_as_a_check_begins_to_wait_is_not_slept_through(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await begin(daemon, plain.url, "t")
    services = daemon.services
    check = cast(
        "Awaitable[InterruptStatus]",
        interrupts.check(services, interrupts.InterruptCheck(task_id="t", wait_s=60.0), CallContext(services.clock.wall_ms())),
    )
    services.interrupts.observe(services.registry.get("t"), Control(interrupt_requested=True, interrupt_id="now"))
    async with asyncio.timeout(5):
        assert (await check).interrupt_id == "now"


async def test_without_its_backend_a_check_says_unknown_and_how_old_its_knowledge_is(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await begin(daemon, plain.url, "t")
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0))["state"] == "none"
    await plain.stop()
    known = await daemon.call("interrupt.check", task_id="t", max_age_s=0)
    assert (known["state"], known["interrupt_requested"]) == ("unknown", False)
    assert known["age_s"] > 0
    await daemon.call("task.create", title="T", task_id="never-delivered", base_url=plain.url)
    known = await daemon.call("interrupt.check", task_id="never-delivered")
    assert (known["state"], known["age_s"]) == ("unknown", None)


async def test_a_stop_that_is_known_is_told_even_without_the_backend(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url, "t")
    plain.ask_to_stop(plain.only_task.task_id, "now")
    assert (await daemon.call("interrupt.check", task_id="t", wait_s=10))["state"] == "requested"
    await plain.stop()
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0))["reason"] == "now"


async def test_an_acknowledged_stop_stays_so_and_the_next_request_is_a_new_stop(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    await begin(daemon, embedded.url, "twice")
    await ask_to_stop(api, "twice", "first")
    first = await daemon.call("interrupt.check", task_id="twice", wait_s=10)
    await daemon.call("interrupt.ack", task_id="twice", interrupt_id=first["interrupt_id"])
    await daemon.flush()
    again = await daemon.call("interrupt.check", task_id="twice")
    assert (again["state"], again["interrupt_requested"]) == ("acknowledged", False)
    await daemon.call("task.update", task_id="twice", status="running")
    await daemon.flush()
    await ask_to_stop(api, "twice", "second")
    second = await daemon.call("interrupt.check", task_id="twice", wait_s=10)
    assert (second["state"], second["reason"]) == ("requested", "second")
    assert second["interrupt_id"] != first["interrupt_id"]


async def test_an_ack_of_another_stop_is_refused_and_names_the_one_that_is_known(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await begin(daemon, plain.url, "t")
    with pytest.raises(RpcError, match="no stop is known here"):
        await daemon.call("interrupt.ack", task_id="t", interrupt_id="7")
    stop = plain.ask_to_stop(plain.only_task.task_id)
    await daemon.call("interrupt.check", task_id="t", wait_s=10)
    with pytest.raises(RpcError, match=f"'{stop.interrupt_id}'") as refused:
        await daemon.call("interrupt.ack", task_id="t", interrupt_id="777")
    assert refused.value.data["field"] == "interrupt_id"
    assert (await daemon.call("task.get", task_id="t"))["status"] == "pending"


async def test_a_watch_is_told_of_each_change(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url, "t")
    watcher = await daemon.connect()
    assert (await call(watcher, "interrupt.watch", task_id="t"))["interrupt_requested"] is False
    plain.ask_to_stop(plain.only_task.task_id, "now")
    told = json.loads(await watcher.receive())
    assert (told["jsonrpc"], told["method"]) == ("2.0", "interrupt.changed")
    assert "id" not in told
    assert {key: told["params"][key] for key in ("task_id", "state", "interrupt_requested", "reason")} == {
        "task_id": "t",
        "state": "requested",
        "interrupt_requested": True,
        "reason": "now",
    }
    assert (await call(watcher, "daemon.status"))["tasks"]["stopping"] == 1  # the connection still takes requests
    await daemon.call("interrupt.ack", task_id="t")
    assert json.loads(await watcher.receive())["params"]["state"] == "acknowledged"


async def test_a_watch_that_begins_after_the_request_is_told_at_once_and_counts_as_delivered(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    await begin(daemon, embedded.url, "late-watch")
    await ask_to_stop(api, "late-watch", "now")
    await until((daemon.state_dir / "run" / "stop" / "late-watch").exists)
    watcher = await daemon.connect()
    told = await call(watcher, "interrupt.watch", task_id="late-watch")
    assert (told["state"], told["reason"]) == ("requested", "now")
    await daemon.flush()
    assert (await api.get("late-watch"))["stop"]["delivered_at"] is not None


async def test_a_stop_is_a_file_for_as_long_as_it_is_not_answered(daemon: RunningDaemon, plain: PlainServer) -> None:
    file = daemon.state_dir / "run" / "stop" / "t"
    await begin(daemon, plain.url, "t")
    assert not file.exists()
    stop = plain.ask_to_stop(plain.only_task.task_id, "为什么")
    await until(file.exists)
    await daemon.call("interrupt.check", task_id="t")
    assert file.read_text(encoding="utf-8") == f"{stop.interrupt_id}\n为什么\n"
    await daemon.call("interrupt.ack", task_id="t")
    assert not file.exists()


async def test_a_stop_that_is_withdrawn_is_none(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url, "t")
    plain.ask_to_stop(plain.only_task.task_id)
    assert (await daemon.call("interrupt.check", task_id="t", wait_s=10))["interrupt_requested"] is True
    plain.only_task.stop = None
    await until(lambda: not (daemon.state_dir / "run" / "stop" / "t").exists())
    assert (await daemon.call("interrupt.check", task_id="t"))["state"] == "none"


async def test_an_agent_that_answers_one_stop_again_after_it_went_on_has_stopped_here_and_at_its_backend(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    await begin(daemon, embedded.url, "stops-twice")
    await ask_to_stop(api, "stops-twice", "wrong branch")
    await daemon.call("interrupt.check", task_id="stops-twice", max_age_s=0)
    await daemon.call("interrupt.ack", task_id="stops-twice")
    await daemon.call("task.update", task_id="stops-twice", status="running")
    await daemon.call("interrupt.ack", task_id="stops-twice", summary="stopped again")
    await daemon.flush()
    here, there = await daemon.call("task.get", task_id="stops-twice"), await api.get("stops-twice")
    assert [(each["status"], each["summary"]) for each in (here, there)] == [("interrupted", "stopped again")] * 2

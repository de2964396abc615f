"""A task that a person closed at its backend ends here, too: no more beats, until the agent's next command reopens it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from clawlogd.settings import Heartbeat
from support.plain_server import PlainServer
from support.polled_server import PolledServer
from support.running_daemon import QUICK, RunningDaemon, until


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon that beats often."""
    started = new_daemon(msgspec.structs.replace(QUICK, heartbeat=Heartbeat(interval_s=0.3, jitter_s=0.0)))
    await started.start()
    return started


async def create(daemon: RunningDaemon, url: str) -> None:
    await daemon.call("task.create", task_id="t", title="T", steps=["check"], base_url=url)
    await daemon.call("step.update", task_id="t", step=1, status="running")
    await daemon.flush()


async def ended(daemon: RunningDaemon) -> None:
    async def has_ended() -> bool:
        return bool((await daemon.call("task.get", task_id="t"))["liveness"]["state"] == "ended")

    await until(has_ended)


@pytest.mark.parametrize("profile", ["long polls", "short polls"])
async def test_a_closed_task_ends_as_the_backend_says_and_is_reopened_by_the_agents_next_command(
    daemon: RunningDaemon, polled: PolledServer, profile: str
) -> None:
    polled.poll_status = 200 if profile == "long polls" else 404
    await create(daemon, polled.url)
    polled.close("t", status="failed", closed={"by": "Mu", "summary": "its machine is gone"})
    await ended(daemon)
    view = await daemon.call("task.get", task_id="t")
    assert (view["status"], view["summary"]) == ("failed", "its machine is gone")
    beats = len(polled.kinds("heartbeat"))
    events = len([event for event in polled.events if event["kind"] != "heartbeat"])
    await daemon.call("task.heartbeat", task_id="t", summary="not a command about the work")
    assert daemon.services.heartbeats.due_count(polled.url) == 0
    polled.shown["t"] = {"task_id": "t", "status": "running", "closed": None}
    polled.withdraw("t")
    await daemon.call("step.update", task_id="t", step=1, status="done")
    await daemon.flush()
    told = [event for event in polled.events if event["kind"] != "heartbeat"][events:]
    assert [(event["kind"], event["status"]) for event in told] == [("task_status", "running"), ("step_status", "done")]
    await until(lambda: len(polled.kinds("heartbeat")) > beats)
    assert (await daemon.call("task.get", task_id="t"))["status"] == "running"


async def test_a_closed_task_of_a_plain_server_ends(daemon: RunningDaemon, plain: PlainServer) -> None:
    await create(daemon, plain.url)
    plain.closed.add(plain.only_task.task_id)
    await ended(daemon)
    view = await daemon.call("task.get", task_id="t")
    assert (view["status"], view["summary"]) == ("failed", "its machine is gone")


async def test_an_answer_from_before_the_agent_went_on_closes_nothing(daemon: RunningDaemon, polled: PolledServer) -> None:
    await create(daemon, polled.url)
    polled.taking.clear()
    await daemon.call("step.update", task_id="t", step=1, status="done")
    seen = len(polled.polls)
    polled.close("t", status="failed", closed={"by": "Mu"})
    await until(lambda: len(polled.polls) > seen)
    polled.shown["t"] = {"task_id": "t", "status": "running", "closed": None}
    polled.taking.set()
    await daemon.flush()
    asked = len(polled.asked)
    await until(lambda: len(polled.asked) > asked)
    assert (await daemon.call("task.get", task_id="t"))["status"] == "running"


async def test_a_task_that_waits_for_a_person_is_reached_by_a_stop(daemon: RunningDaemon, polled: PolledServer) -> None:
    await create(daemon, polled.url)
    await daemon.call("task.update", task_id="t", status="waiting", summary="Which host?")
    await daemon.flush()
    polled.ask_to_stop("t", "s1")
    await until(lambda: polled.kinds("interrupt_seen"))
    view = await daemon.call("task.get", task_id="t")
    assert (view["status"], view["stop"]["state"]) == ("waiting", "requested")

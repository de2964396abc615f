"""Tasks that change while they are at work: plans, waiting, links, metadata, progress, parents; what is kept and what is told.

The backend is one that nobody serves, so that all that is told stays in the outbox to be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from clawlog.protocol import spool, vocabulary
from clawlog.protocol.errors import OUTBOX_FULL, RpcError
from clawlog.protocol.ids import new_uuid
from clawlogd.model import Interrupt
from clawlogd.outbox.integrity import lane_number
from clawlogd.outbox.store import Store
from clawlogd.settings import OutboxBounds
from support.callers import exchange
from support.running_daemon import QUICK, RunningDaemon
from support.spooling import files, keep

NOBODY = QUICK.base_url


async def told(daemon: RunningDaemon, base_url: str = NOBODY) -> list[dict[str, Any]]:
    """The events that wait for a backend, in order."""

    def bodies(store: Store) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in store.pending(lane_number(base_url), 1000, 1 << 30)]

    return await daemon.services.outbox.read(bodies)


async def kinds(daemon: RunningDaemon, since: int = 0) -> list[tuple[str, str | None]]:
    return [(each["kind"], each.get("status")) for each in (await told(daemon))[since:]]


@pytest.fixture
async def task(daemon: RunningDaemon) -> RunningDaemon:
    """A daemon with one task."""
    await daemon.call("task.create", title="T", task_id="t", steps=["look", "write"])
    return daemon


async def view(daemon: RunningDaemon) -> dict[str, Any]:
    return await daemon.call("task.get", task_id="t")


# ── Waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────

WAITING = {"task_id": "t", "status": "waiting", "summary": "Which one?"}


@pytest.mark.parametrize(
    ("verb", "params", "events"),
    [
        ("step.update", {"step": 1, "status": "done"}, [("task_status", "running"), ("step_status", "done")]),
        ("task.plan", {"steps": ["write"]}, [("task_status", "running"), ("plan", None)]),
        ("step.add", {"title": "more"}, [("task_status", "running"), ("step_added", None)]),
        ("interrupt.ack", {}, [("task_status", "running"), ("interrupt_ack", None)]),
        ("task.update", {"status": "running"}, [("task_status", "running")]),
        ("task.update", {"status": "done"}, [("task_status", "done")]),
    ],
)
async def test_a_wait_is_ended_by_the_next_report_about_the_work(
    task: RunningDaemon, verb: str, params: dict[str, Any], events: list[tuple[str, str | None]]
) -> None:
    await task.call("task.update", **WAITING)
    assert (await view(task))["waiting_since"] is not None
    registry = task.services.registry
    registry.put(msgspec.structs.replace(registry.get("t"), interrupt=Interrupt("i")))
    before = len(await told(task))
    accepted = await task.call(verb, task_id="t", **params)
    shown = await view(task)
    assert await kinds(task, before) == events
    assert accepted["pending"] == shown["pending"] == before + len(events)
    assert (await told(task))[-1]["event_id"] == accepted["event_id"]
    assert (shown["status"] == "waiting", shown["waiting_since"]) == (False, None)
    assert shown["summary"] is None, "the question is answered"


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("interrupt.check", {"max_age_s": 0}),
        ("interrupt.watch", {}),
        ("task.heartbeat", {"summary": "here", "progress": {"done": 1}}),
        ("task.link", {"url": "https://x/"}),
        ("task.annotate", {"metadata": {"a": "b"}}),
        ("task.get", {}),
        ("task.update", {"status": "waiting", "summary": "And which other one?"}),
    ],
)
async def test_a_wait_goes_on_through_what_says_nothing_of_the_work(
    task: RunningDaemon, verb: str, params: dict[str, Any]
) -> None:
    await task.call("task.update", **WAITING)
    since = (await view(task))["waiting_since"]
    await task.call(verb, task_id="t", **params)
    shown = await view(task)
    assert (shown["status"], shown["waiting_since"], shown["liveness"]["state"]) == ("waiting", since, "waiting")
    assert ("task_status", "running") not in await kinds(task)


async def test_the_end_of_a_wait_is_repeated_no_more_than_the_report_that_ends_it(task: RunningDaemon) -> None:
    await task.call("task.update", **WAITING)
    call = {"task_id": "t", "step": 1, "status": "running", "event_id": new_uuid()}
    first = await task.call("step.update", **call)
    events = await kinds(task)
    assert await task.call("step.update", **call) == first
    await task.stop()
    await task.start()
    assert await task.call("step.update", **call) == first
    assert await kinds(task) == events


async def test_both_events_that_end_a_wait_are_accepted_or_neither_is(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, outbox=OutboxBounds(max_events=3)))
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", steps=["look"])
    await daemon.call("task.update", **WAITING)
    with pytest.raises(RpcError) as refused:
        await daemon.call("step.update", task_id="t", step=1, status="done")
    assert refused.value.code == OUTBOX_FULL
    shown = await view(daemon)
    assert (shown["status"], shown["steps"][0]["status"], shown["pending"]) == ("waiting", "pending", 2)
    assert (await daemon.call("task.link", task_id="t", url="https://x/"))["pending"] == 3


# ── Plans ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_changed_plan_is_there_after_a_restart(task: RunningDaemon) -> None:
    await task.call("step.update", task_id="t", step="write", status="running", progress={"done": 318, "total": 2480})
    await task.call("task.plan", task_id="t", steps=["ship", {"title": "draft", "step_id": "t-2"}])
    await task.call("step.add", task_id="t", title="announce", after="ship")
    await task.call("task.link", task_id="t", url="https://x/", name="x")
    await task.call("task.annotate", task_id="t", metadata={"a": "b"})
    await task.call("task.update", **WAITING)
    before = await view(task)
    assert [(each["position"], each["title"], each["status"]) for each in before["steps"]] == [
        (1, "ship", "pending"),
        (2, "announce", "pending"),
        (3, "draft", "running"),
        (4, "look", "skipped"),
    ]
    await task.stop()
    await task.start()
    after = await view(task)
    assert after == {**before, "liveness": after["liveness"], "stop": after["stop"]}
    await task.call("step.update", task_id="t", step=3, status="done")
    assert (await told(task))[-1]["step_id"] == "t-2"


async def test_a_step_that_leaves_its_plan_takes_its_row_along(task: RunningDaemon) -> None:
    services = task.services
    known = services.registry.get("t")
    gone, kept = known.steps
    moved = msgspec.structs.replace(kept, position=1)
    services.registry.put(msgspec.structs.replace(known, steps=(moved,)), steps=(moved,), gone=(gone,))
    await services.outbox.committed()
    await task.stop()
    await task.start()
    assert [(each["step_id"], each["position"]) for each in (await view(task))["steps"]] == [("t-2", 1)]


async def test_a_plan_that_could_not_be_written_has_not_been(task: RunningDaemon) -> None:
    before, events = await view(task), await told(task)
    database = task.state_dir / "outbox.db"
    database.rename(database.with_name("elsewhere.db"))
    for verb, params in (("task.plan", {"steps": ["ship", "write"]}), ("step.add", {"title": "more", "after": 1})):
        with pytest.raises(RpcError) as refused:
            await task.call(verb, task_id="t", **params)
        assert refused.value.name == "storage_failed"
    database.with_name("elsewhere.db").rename(database)
    after = await view(task)
    assert after["steps"] == before["steps"]
    assert after["pending"] == before["pending"]
    assert await told(task) == events


async def test_a_plan_of_sixty_kilobytes_is_taken_and_one_over_the_bounds_is_not(task: RunningDaemon) -> None:
    caller = await task.connect()
    steps = ["部" * 90 + str(number) for number in range(200)]
    request = {"jsonrpc": "2.0", "id": 1, "method": "task.plan", "params": {"task_id": "t", "steps": steps}}
    reply = await exchange(caller, json.dumps(request, ensure_ascii=False).encode())
    assert reply["error"]["data"]["field"] == "steps"  # with the two that are there they are 202
    request["params"]["steps"] = steps[:198]  # type: ignore[index]
    assert len(json.dumps(request, ensure_ascii=False).encode()) > 50_000
    reply = await exchange(caller, json.dumps(request, ensure_ascii=False).encode())
    assert [each["title"] for each in reply["result"]["steps"]] == [*steps[:198], "look", "write"]
    assert len((await told(task))[-1]["steps"]) == 200
    request["params"]["steps"] = ["x" * 200] * 400  # type: ignore[index]
    reply = await exchange(caller, json.dumps(request).encode())
    assert reply["error"]["code"] == -32007


async def test_a_repeated_plan_is_answered_as_the_first_was_and_another_is_a_mistake(task: RunningDaemon) -> None:
    event_id = new_uuid()
    first = await task.call("task.plan", task_id="t", steps=["ship"], event_id=event_id)
    assert first["steps"][0]["step_id"] == f"{event_id}-1"
    await task.call("step.add", task_id="t", title="more")
    assert await task.call("task.plan", task_id="t", steps=["anything"], event_id=event_id) == first
    for verb, params in (
        ("step.add", {"title": "x"}),
        ("task.link", {"url": "https://x"}),
        ("task.annotate", {"metadata": {"a": "b"}}),
    ):
        with pytest.raises(RpcError) as refused:
            await task.call(verb, task_id="t", event_id=event_id, **params)
        assert refused.value.data["reason"] == "key_reused"
    assert len(await told(task)) == 3


@pytest.mark.parametrize("step", [1, "1", "look"])
async def test_a_report_that_is_repeated_after_the_plan_has_changed_is_a_repetition(
    task: RunningDaemon, step: int | str
) -> None:
    call = {"task_id": "t", "step": step, "status": "done", "event_id": new_uuid()}
    first = await task.call("step.update", **call)
    await task.call("task.plan", task_id="t", steps=["write", {"title": "look", "step_id": "another"}])
    assert await task.call("step.update", **call) == first
    assert [each["status"] for each in (await view(task))["steps"]] == ["pending", "pending", "done"]
    with pytest.raises(RpcError) as refused:
        await task.call("step.update", **{**call, "step": "t-2"})
    assert refused.value.data["reason"] == "key_reused"


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("step.add", {"title": "more"}),
        ("step.add", {"title": "more", "step_id": "mine", "after": 1}),
        ("task.link", {"url": "https://x/"}),
        ("task.annotate", {"metadata": {"a": None, "b": "c"}}),
    ],
)
async def test_a_repeated_addition_is_answered_as_the_first_was(task: RunningDaemon, verb: str, params: dict[str, Any]) -> None:
    event_id = new_uuid()
    first = await task.call(verb, task_id="t", event_id=event_id, **params)
    assert await task.call(verb, task_id="t", event_id=event_id, **params) == first
    assert len(await told(task)) == 2


# ── Progress ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_progress_is_told_as_it_was_counted_and_the_newest_stands_for_the_task(task: RunningDaemon) -> None:
    await task.call("step.update", task_id="t", step=1, status="running", progress={"done": 318, "total": 2480, "unit": "a\tb"})
    assert (await told(task))[-1]["progress"] == {"done": 318, "total": 2480, "unit": "a b"}
    assert (await view(task))["measure"] == {"done": 318, "total": 2480, "unit": "a b"}
    await task.call("task.heartbeat", task_id="t", progress={"done": 0.25})
    shown = await view(task)
    assert (shown["measure"]["done"], shown["steps"][0]["measure"]["done"]) == (0.25, 318)
    await task.call("step.update", task_id="t", step=1, status="done")
    shown = await view(task)
    assert (shown["measure"], shown["steps"][0]["measure"]["done"]) == (None, 318)


async def test_a_heartbeats_progress_goes_with_the_next_beat(task: RunningDaemon) -> None:
    await task.call("task.heartbeat", task_id="t", progress={"done": 3, "total": 9, "unit": "files"})
    services = task.services
    beat = services.liveness.beat(services.registry.get("t"), "now")
    assert beat is not None
    assert msgspec.to_builtins(beat.progress) == {"done": 3, "total": 9, "unit": "files"}


# ── Parents ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("params", "parent"),
    [
        ({"parent_task_id": "t", "parent_implied": True}, "t"),
        ({"parent_task_id": "unknown", "parent_implied": True}, None),
        ({"parent_task_id": "ended", "parent_implied": True}, None),
        ({"parent_task_id": "elsewhere", "parent_implied": True}, None),
        ({"parent_task_id": "part", "parent_implied": True}, None),
        ({"parent_task_id": "unknown"}, "unknown"),
        ({"parent_task_id": "ended"}, "ended"),
        ({"parent_task_id": "elsewhere", "parent_implied": False}, "elsewhere"),
    ],
)
async def test_a_parent_that_was_chosen_stands_and_one_that_is_implied_has_to_be_at_work_here(
    task: RunningDaemon, params: dict[str, Any], parent: str | None
) -> None:
    await task.call("task.create", title="E", task_id="ended")
    await task.call("task.update", task_id="ended", status="done")
    await task.call("task.create", title="O", task_id="elsewhere", base_url="http://127.0.0.1:7")
    await task.call("task.create", title="P", task_id="part", **params)
    assert (await task.call("task.get", task_id="part"))["parent_task_id"] == parent
    (creation,) = [each for each in await told(task) if each["task_id"] == "part"]
    assert creation.get("parent_task_id") == parent


async def test_a_task_is_no_part_of_itself(task: RunningDaemon) -> None:
    with pytest.raises(RpcError) as refused:
        await task.call("task.create", title="P", task_id="part", parent_task_id="part")
    assert refused.value.data["field"] == "parent_task_id"


# ── The page, and what a daemon has ────────────────────────────────────────────────────────────────────────────────


async def test_the_page_of_a_new_task_is_what_its_backends_part_says(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await daemon.call("task.create", title="T"))["url"] is None
    monkeypatch.setattr(daemon.services.backends, "task_page", lambda base_url, task_id: f"{base_url}/tasks/{task_id}")
    assert (await daemon.call("task.create", title="T", task_id="t"))["url"] == f"{NOBODY}/tasks/t"


async def test_the_daemon_says_what_it_has(daemon: RunningDaemon) -> None:
    assert set((await daemon.call("daemon.status"))["features"]) == set(vocabulary.FEATURES)


# ── The spool ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_change_may_wait_in_the_spool_and_is_made_in_order(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("task.create", {"title": "T", "steps": ["look"], "cwd": "/", "parent_task_id": "p"}),
        ("task.plan", {"steps": ["look", "write"]}),
        ("step.add", {"title": "think", "step_id": "think", "after": "look"}),
        ("task.update", {"status": "waiting", "summary": "May I?"}),
        ("task.link", {"url": "https://x/"}),
        ("task.annotate", {"metadata": {"a": "b"}}),
        ("step.update", {"step": "think", "status": "running", "progress": {"done": 1}}),
    ]
    assert {verb for verb, _ in calls} | {"interrupt.ack", "agent.event"} == spool.SPOOLABLE
    for verb, params in calls:
        keep(daemon.state_dir, verb, task_id="t", **params)
    await daemon.start()
    assert files(daemon.state_dir) == []
    assert [each["kind"] for each in await told(daemon)] == [
        "task_created",
        "plan",
        "step_added",
        "task_status",
        "link",
        "metadata",
        "task_status",
        "step_status",
    ]
    shown = await view(daemon)
    assert [each["title"] for each in shown["steps"]] == ["look", "think", "write"]
    assert (shown["status"], shown["parent_task_id"], shown["metadata"]["a"]) == ("running", "p", "b")


async def test_no_plan_overtakes_what_the_spool_holds_of_its_task(task: RunningDaemon) -> None:
    keep(task.state_dir, "step.add", task_id="t", title="spooled", step_id="spooled")
    planned = await task.call("task.plan", task_id="t", steps=["write", {"title": "spooled", "step_id": "spooled"}])
    assert [each["step_id"] for each in planned["steps"]] == ["t-2", "spooled", "t-1"]
    assert [each["kind"] for each in await told(task)] == ["task_created", "step_added", "plan"]

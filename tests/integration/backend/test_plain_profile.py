"""The plain profile over real HTTP."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clawlog_backend.domain.times import UtcMs
from support.engines import BOTH_ENGINES
from support.running_backend import Api, RunningBackend, event

pytestmark = BOTH_ENGINES

RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BEAT = {"at": "2026-02-28T09:00:00Z", "agent_seen_at": "2026-02-28T08:59:58Z", "evidence": "command", "stalled": False}


async def test_a_new_task_is_answered_with_its_ids(api: Api) -> None:
    status, task = await api(
        "POST",
        "/api/tasks",
        {"title": "部署 Nginx 服务", "steps": [{"title": "检查本地环境"}, {"title": "编写", "step_id": "mine"}]},
    )
    assert status == 201
    assert task == {
        "task_id": task["task_id"],
        "title": "部署 Nginx 服务",
        "status": "pending",
        "steps": [
            {"step_id": task["steps"][0]["step_id"], "position": 1, "title": "检查本地环境", "status": "pending"},
            {"step_id": "mine", "position": 2, "title": "编写", "status": "pending"},
        ],
    }
    assert 0 < len(task["task_id"]) <= 64
    _, read = await api("GET", f"/api/tasks/{task['task_id']}")
    assert [step["step_id"] for step in read["steps"]] == [step["step_id"] for step in task["steps"]]


async def test_an_offered_id_that_another_task_has_is_a_conflict(api: Api) -> None:
    await api.task("t1")
    status, problem = await api("POST", "/api/tasks", {"title": "Another", "task_id": "t1"})
    assert (status, problem["code"]) == (409, "task_exists")
    assert (await api.get("t1"))["title"] == "Deploy"


async def test_the_steps_of_a_task_move_it_along(api: Api) -> None:
    await api.task(steps=2)

    async def step(step_id: str, status: str, at: str, **more: str) -> str:
        code, answer = await api("PATCH", f"/api/tasks/t1/steps/{step_id}", {"status": status, "at": at} | more)
        assert code == 200
        return answer["status"]

    assert (await api.get())["current_step"] is None
    assert await step("s1", "running", "2026-02-28T09:00:00Z", summary="looking") == "running"
    task = await api.get()
    assert task["current_step"] == {
        "step_id": "s1",
        "position": 1,
        "title": "Step 1",
        "status": "running",
        "summary": "looking",
        "measure": None,
    }
    assert await step("s1", "done", "2026-02-28T09:00:05Z") == "running"
    assert await step("s2", "running", "2026-02-28T09:00:06Z") == "running"
    assert await step("s2", "skipped", "2026-02-28T09:00:07Z") == "done"
    task = await api.get()
    assert (task["status"], task["ended_at"]) == ("done", "2026-02-28T09:00:07.000Z")
    assert task["progress"] == {"done": 2, "failed": 0, "total": 2}
    assert task["liveness"]["state"] == "ended"
    assert [(s["started_at"], s["ended_at"]) for s in task["steps"]] == [
        ("2026-02-28T09:00:00.000Z", "2026-02-28T09:00:05.000Z"),
        ("2026-02-28T09:00:06.000Z", "2026-02-28T09:00:07.000Z"),
    ]
    assert await step("s2", "failed", "2026-02-28T09:00:08Z") == "failed"
    assert (await api.get())["progress"] == {"done": 1, "failed": 1, "total": 2}
    assert await step("s2", "running", "2026-02-28T09:00:09Z") == "running"
    task = await api.get()
    assert (task["ended_at"], task["steps"][1]["started_at"]) == (None, "2026-02-28T09:00:09.000Z")


async def test_an_agents_own_word_wins_over_what_its_steps_say(api: Api) -> None:
    await api.task(steps=1)
    await api("PATCH", "/api/tasks/t1", {"status": "failed", "summary": "no network"})
    _, answer = await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"})
    assert answer["status"] == "failed"
    assert (await api.get())["summary"] == "no network"
    _, answer = await api("PATCH", "/api/tasks/t1", {"status": "running"})
    assert answer["status"] == "running"
    assert (await api.get())["ended_at"] is None
    _, answer = await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "failed"})
    assert answer["status"] == "failed"


@pytest.mark.parametrize(("spoke_s_ago", "state"), [(15, "alive"), (25, "quiet")])
async def test_a_beat_on_the_evidence_of_a_command_shows_life_only_as_fresh_as_the_command(
    api: Api, spoke_s_ago: int, state: str
) -> None:
    spoke_at = UtcMs.now().plus(ms=-1000 * spoke_s_ago).rfc3339()
    await api.events(event("task_created", "c1", at=spoke_at, title="Deploy", steps=[]))
    await api("POST", "/api/tasks/t1/heartbeat", BEAT | {"at": UtcMs.now().rfc3339(), "agent_seen_at": spoke_at})
    assert (await api.get())["liveness"]["state"] == state


async def test_a_beat_vouches_and_goes_stale(api: Api, backend: RunningBackend) -> None:
    await api.task()
    beat = BEAT | {"evidence": "process", "pid": 4242, "summary": "writing"}
    status, answer = await api("POST", "/api/tasks/t1/heartbeat", beat)
    assert (status, answer["status"]) == (200, "pending")
    task = await api.get()
    liveness = task["liveness"]
    assert (task["summary"], liveness["state"], liveness["evidence"], liveness["pid"]) == ("writing", "alive", "process", 4242)
    assert RFC3339_MS.fullmatch(liveness["vouched_at"])
    assert liveness["vouched_at"] > "2026-02-28T09:00:00.000Z"

    backend.clock.ahead_ms = 19_000
    assert (await api.get())["liveness"]["state"] == "alive"
    backend.clock.ahead_ms = 21_000
    task = await api.get()
    assert (task["status"], task["liveness"]["state"]) == ("pending", "quiet")
    backend.clock.ahead_ms = 61_000
    task = await api.get()
    assert (task["status"], task["liveness"]["state"]) == ("stale", "quiet")
    await backend.sweep()
    _, page = await api("GET", "/api/tasks?status=stale")
    assert [t["task_id"] for t in page["tasks"]] == ["t1"]
    assert page["counts"] == {
        "all": 1, "active": 1, "stopping": 0, "pending": 0, "running": 0, "waiting": 0, "done": 0, "failed": 0,
        "interrupted": 0, "stale": 1, "attention": 0,
    }  # fmt: skip

    await api("POST", "/api/tasks/t1/heartbeat", BEAT | {"stalled": True})
    task = await api.get()
    assert (task["status"], task["liveness"]["state"], task["liveness"]["pid"]) == ("pending", "stalled", None)


async def test_a_lost_agent_is_shown_lost_at_once_and_revived_by_a_command(api: Api) -> None:
    await api.task()
    await api("POST", "/api/tasks/t1/heartbeat", BEAT)
    await api.events(event("agent_lost", "l1", summary="process 4242 ended (killed by signal 9)"))
    task = await api.get()
    assert (task["status"], task["liveness"]["state"]) == ("stale", "lost")
    assert task["liveness"]["reason"] == "process 4242 ended (killed by signal 9)"
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"})
    task = await api.get()
    assert (task["status"], task["liveness"]["state"], task["liveness"]["reason"]) == ("running", "alive", None)


async def test_late_news_of_a_dead_agent_does_not_make_it_look_alive(api: Api) -> None:
    hours_ago = "2020-01-01T00:00:00Z"
    await api.events(
        event("task_created", "e1", at=hours_ago, title="T", steps=[{"step_id": "s1", "title": "a"}]),
        event("step_status", "e2", at=hours_ago, step_id="s1", status="running"),
    )
    task = await api.get()
    assert (task["status"], task["liveness"]["state"]) == ("stale", "unknown")


async def test_a_stop_and_its_receipts(api: Api) -> None:
    await api.task()
    status, stop = await api("POST", "/api/tasks/t1/interrupt", {"reason": "wrong host", "requested_by": "Mu"})
    assert status == 201
    again_status, again = await api("POST", "/api/tasks/t1/interrupt", {"reason": "really"})
    assert (again_status, again) == (200, stop)
    assert (await api("GET", "/api/tasks/t1/control"))[1] == {
        "task_id": "t1",
        "interrupt_requested": True,
        "mode": "soft_stop",
        "interrupt_id": stop["interrupt_id"],
        "reason": "wrong host",
        "requested_at": stop["requested_at"],
        "closed": False,
        "acknowledged": False,
    }
    assert (await api("GET", "/api/tasks?status=stopping"))[1]["counts"]["stopping"] == 1
    named = {"interrupt_id": stop["interrupt_id"]}
    await api.events(
        event("interrupt_seen", "e1", at="2026-02-28T09:00:01Z", **named),
        event("interrupt_delivered", "e2", at="2026-02-28T09:00:02Z", **named),
        event("interrupt_seen", "e3", at="2026-02-28T09:00:09Z", **named),
    )
    status, answer = await api(
        "POST", "/api/tasks/t1/interrupt/ack", named | {"summary": "stopped after step 1", "at": "2026-02-28T09:00:03Z"}
    )
    assert (status, answer["status"]) == (200, "interrupted")
    task = await api.get()
    assert (task["status"], task["summary"]) == ("interrupted", "stopped after step 1")
    assert task["stop"] == stop | {
        "seen_at": "2026-02-28T09:00:01.000Z",
        "delivered_at": "2026-02-28T09:00:02.000Z",
        "acknowledged_at": "2026-02-28T09:00:03.000Z",
        "ack_summary": "stopped after step 1",
    }
    assert (await api("GET", "/api/tasks/t1/control"))[1]["interrupt_requested"] is False
    assert [e["kind"] for e in task["events"]] == [
        "task_created", "interrupt_requested", "interrupt_requested",
        "interrupt_seen", "interrupt_delivered", "interrupt_seen", "interrupt_ack",
    ]  # fmt: skip

    assert (await api("POST", "/api/tasks/t1/interrupt", {}))[0] == 409  # there is nothing left to stop
    await api("PATCH", "/api/tasks/t1", {"status": "running"})
    status, second = await api("POST", "/api/tasks/t1/interrupt", {})
    assert status == 201
    assert second["interrupt_id"] != stop["interrupt_id"]
    # A late repetition of the first answer does not answer the second stop.
    assert (await api("POST", "/api/tasks/t1/interrupt/ack", named))[0] == 200
    assert (await api("GET", "/api/tasks/t1/control"))[1]["interrupt_id"] == second["interrupt_id"]


async def test_an_ack_without_an_id_answers_the_open_stop(api: Api) -> None:
    await api.task()
    status, problem = await api("POST", "/api/tasks/t1/interrupt/ack", {})
    assert (status, problem["code"]) == (409, "no_open_interrupt")
    await api("POST", "/api/tasks/t1/interrupt", {})
    assert (await api("POST", "/api/tasks/t1/interrupt/ack", {}))[1]["status"] == "interrupted"
    status, problem = await api("POST", "/api/tasks/t1/interrupt/ack", {"interrupt_id": "unheard-of"})
    assert (status, problem["code"]) == (404, "unknown_interrupt")


async def test_a_task_that_ends_otherwise_is_not_interrupted(api: Api) -> None:
    await api.task()
    await api("POST", "/api/tasks/t1/interrupt", {})
    await api("PATCH", "/api/tasks/t1", {"status": "done"})
    assert (await api("GET", "/api/tasks/t1/control"))[1]["interrupt_requested"] is False
    assert (await api("POST", "/api/tasks/t1/interrupt/ack", {}))[1]["status"] == "done"
    assert (await api("GET", "/api/tasks"))[1]["counts"]["stopping"] == 0


async def test_a_stop_that_is_acknowledged_after_the_last_step_ended_interrupts_the_task(api: Api) -> None:
    await api.task(steps=2)
    await api("POST", "/api/tasks/t1/interrupt", {})
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"})
    assert (await api("PATCH", "/api/tasks/t1/steps/s2", {"status": "skipped"}))[1]["status"] == "done"
    ended_at = (await api.get())["ended_at"]
    assert (await api("POST", "/api/tasks/t1/interrupt/ack", {"summary": "left the rest"}))[1]["status"] == "interrupted"
    task = await api.get()
    assert (task["status"], task["ended_at"], task["summary"]) == ("interrupted", ended_at, "left the rest")
    assert (await api("PATCH", "/api/tasks/t1", {"status": "done"}))[1]["status"] == "done"  # its own word wins


async def test_a_write_that_is_repeated_under_its_key_gets_the_same_answer_and_happens_once(api: Api) -> None:
    async def twice(method: str, path: str, body: Any, key: str) -> tuple[int, Any]:
        first = await api(method, path, body, headers={"Idempotency-Key": key})
        await api("PATCH", "/api/tasks/t1", {"status": "running"})  # the answer is that of the first time, not of now
        assert await api(method, path, body, headers={"Idempotency-Key": key}) == first
        return first

    await api.task("t1")
    status, task = await twice("POST", "/api/tasks", {"title": "New", "steps": [{"title": "a"}]}, "k-create")
    assert status == 201
    assert (await twice("PATCH", "/api/tasks/t1", {"status": "failed"}, "k-task"))[1]["status"] == "failed"
    assert (await twice("PATCH", "/api/tasks/t1/steps/s1", {"status": "done", "summary": "x"}, "k-step"))[0] == 200
    assert (await twice("POST", "/api/tasks/t1/heartbeat", BEAT, "k-beat"))[0] == 200
    stop_status, stop = await twice("POST", "/api/tasks/t1/interrupt", {"reason": "r"}, "k-stop")
    assert stop_status == 201
    assert (await twice("POST", "/api/tasks/t1/interrupt/ack", {}, "k-ack"))[1]["status"] == "interrupted"
    assert await api("POST", "/api/tasks/t1/interrupt", {"reason": "r"}, headers={"Idempotency-Key": "k-stop"}) == (
        201,
        stop | {"acknowledged_at": (await api.get())["stop"]["acknowledged_at"]},
    )
    ids = [e["event_id"] for e in (await api.get())["events"] if e["event_id"].startswith("k-")]
    assert sorted(ids) == ["k-ack", "k-beat", "k-step", "k-stop", "k-task"]
    assert (await api("GET", "/api/tasks"))[1]["counts"]["all"] == 2
    assert (await api.get(task["task_id"]))["title"] == "New"


async def test_a_key_that_is_used_for_another_request_is_refused(api: Api) -> None:
    await api.task("t1")
    await api.task("t2")
    key = {"Idempotency-Key": "k1"}
    assert (await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"}, headers=key))[0] == 200
    for method, path, body in (
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"}),
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "summary": "more"}),
        ("PATCH", "/api/tasks/t1/steps/s2", {"status": "running"}),
        ("PATCH", "/api/tasks/t2/steps/s1", {"status": "running"}),
        ("PATCH", "/api/tasks/t1", {"status": "running"}),
        ("POST", "/api/tasks", {"title": "x"}),
    ):
        status, problem = await api(method, path, body, headers=key)
        assert (status, problem["code"], problem["field"]) == (422, "key_reused", "Idempotency-Key"), path


async def test_both_profiles_share_what_was_seen(api: Api) -> None:
    await api.events(event("task_created", "c1", title="T", steps=[{"step_id": "s1", "title": "a"}]))
    body = {"task_id": "t1", "title": "T", "steps": [{"step_id": "s1", "title": "a"}]}
    status, task = await api("POST", "/api/tasks", body, headers={"Idempotency-Key": "c1"})
    assert (status, task["steps"][0]["step_id"]) == (201, "s1")
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"}, headers={"Idempotency-Key": "u1"})
    assert (await api.events(event("step_status", "u1", step_id="s1", status="done")))[0]["status"] == "duplicate"


UNFIT: list[tuple[str, str, Any, int, str | None]] = [
    ("POST", "/api/tasks", {}, 422, "title"),
    ("POST", "/api/tasks", {"title": " "}, 422, "title"),
    ("POST", "/api/tasks", {"title": "x" * 201}, 422, "title"),
    ("POST", "/api/tasks", {"title": 5}, 422, "title"),
    ("POST", "/api/tasks", {"title": "x", "steps": [{"title": "s"}] * 201}, 422, "steps"),
    ("POST", "/api/tasks", {"title": "x", "steps": [{"title": "s"}, {}]}, 422, "steps.1.title"),
    ("POST", "/api/tasks", {"title": "x", "steps": [{"title": "s", "step_id": "a"}] * 2}, 422, "steps"),
    ("POST", "/api/tasks", {"title": "x", "summary": "s" * 1001}, 422, "summary"),
    ("POST", "/api/tasks", {"title": "x", "metadata": {str(n): "v" for n in range(21)}}, 422, "metadata"),
    ("POST", "/api/tasks", {"title": "x", "task_id": "a/b"}, 422, "task_id"),
    ("POST", "/api/tasks", {"title": "x", "task_id": ".."}, 422, "task_id"),
    ("POST", "/api/tasks", {"title": "x", "task_id": "i" * 65}, 422, "task_id"),
    ("POST", "/api/tasks", {"title": "x", "at": 1700000000}, 422, "at"),
    ("POST", "/api/tasks", {"title": "x", "at": "2026-02-30T00:00:00Z"}, 422, "at"),
    ("POST", "/api/tasks", {"title": "x", "at": "2026-02-28 09:00"}, 422, "at"),
    ("PATCH", "/api/tasks/t1", {"status": "stale"}, 422, "status"),
    ("PATCH", "/api/tasks/t1", {"status": "pending"}, 422, "status"),
    ("PATCH", "/api/tasks/none", {"status": "done"}, 404, None),
    ("PATCH", "/api/tasks/t1/steps/none", {"status": "done"}, 404, None),
    ("PATCH", "/api/tasks/t1/steps/s1", {"status": "finished"}, 422, "status"),
    ("POST", "/api/tasks/t1/heartbeat", {key: BEAT[key] for key in BEAT if key != "at"}, 422, "at"),
    ("POST", "/api/tasks/t1/heartbeat", BEAT | {"evidence": "hope"}, 422, "evidence"),
    ("POST", "/api/tasks/t1/heartbeat", BEAT | {"stalled": "no"}, 422, "stalled"),
    ("POST", "/api/tasks/none/heartbeat", BEAT, 404, None),
    ("POST", "/api/tasks/t1/interrupt", {"mode": "hard"}, 422, "mode"),
    ("POST", "/api/tasks/none/interrupt", {}, 404, None),
    ("POST", "/api/tasks/none/interrupt/ack", {}, 404, None),
    ("GET", "/api/tasks/none", None, 404, None),
    ("GET", "/api/tasks/none/control", None, 404, None),
    ("GET", "/api/tasks/none/events", None, 404, None),
    ("GET", "/api/tasks?status=odd", None, 422, "status"),
    ("GET", "/api/tasks?limit=501", None, 422, "limit"),
    ("GET", "/api/tasks?cursor=x", None, 422, "cursor"),
    ("POST", "/api/events", {"events": {}}, 422, "events"),
    ("POST", "/api/events", [], 422, "events"),
    ("POST", "/api/events", {"events": [{}] * 1001}, 413, None),
    ("POST", "/api/control/poll", {"task_ids": "t1"}, 422, "task_ids"),
    ("POST", "/api/control/poll", {"task_ids": [], "wait_s": 56}, 422, "wait_s"),
    ("DELETE", "/api/tasks/t1", None, 405, None),
    ("GET", "/nowhere", None, 404, None),
]


async def test_what_does_not_fit_is_answered_with_a_problem_and_changes_nothing(api: Api) -> None:
    await api.task("t1")
    before = await api.get()
    for method, path, body, status, field in UNFIT:
        case = (method, path, body)
        answered, problem = await api(method, path, body)
        assert (answered, problem["status"], problem["field"]) == (status, status, field), (case, problem)
        assert problem["detail"], case
        assert problem["type"] == f"urn:clawlog:problem:{problem['code']}", case
    assert await api.get() == before
    assert (await api("GET", "/api/tasks"))[1]["counts"]["all"] == 1


async def test_a_history_may_be_asked_for_before_any_number(api: Api) -> None:
    await api.task()
    status, page = await api("GET", f"/api/tasks/t1/events?before={2**62}")
    assert (status, len(page["events"])) == (200, 1)

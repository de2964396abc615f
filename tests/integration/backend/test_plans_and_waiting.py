"""Plans that change, waiting, progress, links, parents, attention and the list's filters, over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.engines import BOTH_ENGINES_AT_LENGTH
from support.running_backend import Api, RunningBackend, event

pytestmark = BOTH_ENGINES_AT_LENGTH

AT = "2026-02-28T09:00:00.000Z"
BEAT = {"agent_seen_at": AT, "evidence": "process", "stalled": False, "pid": 42}
HOUR_MS = 3_600_000


async def test_a_plan_is_replaced_as_a_whole_by_either_profile(api: Api) -> None:
    await api.task(steps=3)
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "at": AT, "summary": "looking"})
    plan = [
        {"step_id": "s1", "title": "Step 1, renamed", "status": "done"},
        {"step_id": "new", "title": "Found on the way", "status": "running"},
        {"step_id": "s3", "title": "Step 3", "status": "skipped"},
    ]
    body = {"steps": plan, "at": "2026-02-28T09:00:05Z"}
    key = {"Idempotency-Key": "p1"}
    assert [(await api("PUT", "/api/tasks/t1/steps", body, headers=key))[0] for _ in range(2)] == [200, 200]
    task = await api.get()
    assert [(s["step_id"], s["position"], s["title"], s["status"], s["summary"]) for s in task["steps"]] == [
        ("s1", 1, "Step 1, renamed", "done", "looking"),
        ("new", 2, "Found on the way", "running", None),
        ("s3", 3, "Step 3", "skipped", None),
    ]
    assert [(s["started_at"], s["ended_at"]) for s in task["steps"]] == [
        (AT, "2026-02-28T09:00:05.000Z"),
        ("2026-02-28T09:00:05.000Z", None),
        (None, "2026-02-28T09:00:05.000Z"),
    ]
    assert (task["status"], task["progress"]) == ("running", {"done": 2, "failed": 0, "total": 3})
    results = await api.events(
        event("step_status", "e1", step_id="s2", status="done"),
        event("step_added", "e2", step_id="s9", title="Between", after="s1"),
        event("step_added", "e3", step_id="s8", title="Nowhere", after="s2"),
        event("plan", "p1", steps=plan),
    )
    assert [(r["status"], r.get("code")) for r in results] == [
        ("rejected", "unknown_step"), ("ok", None), ("rejected", "unknown_step"), ("duplicate", None),
    ]  # fmt: skip
    assert [s["step_id"] for s in (await api.get())["steps"]] == ["s1", "s9", "new", "s3"]
    planned = [e for e in task["events"] if e["kind"] == "plan"]
    assert [(e["event_id"], e["steps_total"]) for e in planned] == [("p1", 3)]
    assert (await api("PUT", "/api/tasks/t1/steps", {"steps": []}))[1]["status"] == "pending"


async def test_a_task_that_waits_for_an_hour_is_never_quiet_stale_or_lost(api: Api, backend: RunningBackend) -> None:
    await api.task(steps=1)
    await api("PATCH", "/api/tasks/t1", {"status": "waiting", "summary": "drop the old table?", "at": AT})
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"})
    backend.clock.ahead_ms = HOUR_MS
    task = await api.get()
    assert (task["status"], task["liveness"]["state"], task["summary"]) == ("waiting", "waiting", "drop the old table?")
    assert (task["waiting_since"], task["attention"]) == (
        AT,
        {"reason": "waiting", "since": AT, "acknowledged_at": None, "acknowledged_by": None},
    )
    _, page = await api("GET", "/api/tasks?status=waiting")
    assert [t["task_id"] for t in page["tasks"]] == ["t1"]
    assert {name: page["counts"][name] for name in ("active", "waiting", "stale", "attention")} == {
        "active": 1, "waiting": 1, "stale": 0, "attention": 1,
    }  # fmt: skip
    assert (await api("GET", "/api/tasks?status=stale"))[1]["tasks"] == []
    code, problem = await api("POST", "/api/tasks/t1/acknowledge", {})
    assert (code, problem["code"]) == (409, "still_waiting")

    await api.events(event("heartbeat", "b1", **BEAT))
    assert (await api.get())["liveness"]["state"] == "alive"
    await api.events(event("agent_lost", "l1", summary="process 42 ended"))
    task = await api.get()
    assert (task["status"], task["liveness"]["state"], task["attention"]["reason"]) == ("stale", "lost", "lost")
    await api.events(event("heartbeat", "b2", **BEAT))
    assert (await api.get())["attention"] == {
        "reason": "waiting", "since": AT, "acknowledged_at": None, "acknowledged_by": None,
    }  # fmt: skip
    await api("PATCH", "/api/tasks/t1", {"status": "running"})
    task = await api.get()
    assert (task["attention"], task["waiting_since"]) == (None, None)


async def test_a_question_is_no_summary_any_more_once_the_task_goes_on(api: Api) -> None:
    await api.task(steps=1)
    for status, summary, shown in (
        ("waiting", "which?", "which?"),
        ("running", None, None),
        ("done", "well", "well"),
        ("running", None, "well"),
    ):
        await api("PATCH", "/api/tasks/t1", {"status": status} | ({"summary": summary} if summary else {}))
        assert (await api.get())["summary"] == shown


async def test_a_failure_needs_somebody_until_it_is_acknowledged_and_a_new_one_does_again(api: Api) -> None:
    await api.task(steps=1)
    assert (await api("POST", "/api/tasks/t1/acknowledge", {}))[1]["code"] == "nothing_to_acknowledge"

    async def rows(which: str) -> int:
        return len((await api("GET", f"/api/tasks?attention={which}"))[1]["tasks"])

    for cause in (
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "failed"}),
        ("PATCH", "/api/tasks/t1", {"status": "failed"}),
    ):
        await api("PATCH", "/api/tasks/t1", {"status": "running"})
        assert (await rows("none"), (await api.get())["attention"]) == (1, None)
        await api(*cause)
        assert (await api.get())["attention"]["reason"] == "failed"
        assert (await rows("open"), await rows("acknowledged")) == (1, 0)
        key = {"Idempotency-Key": f"ack {cause[1]}".replace(" ", "-").replace("/", ".")}
        for _ in range(2):
            assert (await api("POST", "/api/tasks/t1/acknowledge", {"by": "Mu"}, headers=key))[0] == 200
        assert (await api("POST", "/api/tasks/t1/acknowledge", {"by": "Another"}))[0] == 200
        attention = (await api.get())["attention"]
        assert attention["acknowledged_at"]
        assert attention["acknowledged_by"] == "Mu", "the first who saw it"
        assert (await rows("open"), await rows("acknowledged")) == (0, 1)
        assert (await api("GET", "/api/tasks"))[1]["counts"]["attention"] == 0


async def test_a_task_is_closed_once_its_agent_is_gone_and_reopened_by_it(api: Api) -> None:
    await api.task(steps=2)
    await api.events(event("step_status", "e1", step_id="s1", status="running"), event("heartbeat", "b1", **BEAT))
    code, problem = await api("POST", "/api/tasks/t1/close", {})
    assert (code, problem["code"]) == (409, "agent_alive")
    await api.events(event("agent_lost", "l1", summary="process 42 ended"))
    _, first = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    assert [control["closed"] for control in first["controls"]] == [False]
    held = {"task_ids": ["t1"], "cursor": first["cursor"], "wait_s": 20}
    waiting = asyncio.create_task(api("POST", "/api/control/poll", held))
    await asyncio.sleep(0.1)  # whether it waits already or not, the answer has to be the same
    key = {"Idempotency-Key": "close-1"}
    for _ in range(2):
        answer = await api(
            "POST", "/api/tasks/t1/close", {"status": "interrupted", "summary": "box gone", "by": "Mu"}, headers=key
        )
        assert (answer[0], answer[1]["status"]) == (200, "interrupted")
    _, told = await waiting
    assert [(c["task_id"], c["closed"], c["interrupt_requested"]) for c in told["controls"]] == [("t1", True, False)]
    task = await api.get()
    assert (task["status"], task["summary"], task["attention"], task["liveness"]["state"]) == (
        "interrupted", "box gone", None, "ended",
    )  # fmt: skip
    assert (task["closed"]["by"], task["closed"]["summary"], task["closed"]["at"]) == ("Mu", "box gone", task["ended_at"])
    assert (await api("POST", "/api/tasks/t1/close", {}))[1]["code"] == "task_ended"
    assert (await api("POST", "/api/tasks/t1/interrupt", {}))[0] == 409
    await api.events(event("heartbeat", "b2", **BEAT))
    assert (await api.get())["status"] == "interrupted", "a beat that was on its way reopens nothing"

    held["cursor"] = told["cursor"]
    await api.events(event("link", "e2", url="https://example.com/log"))
    _, told = await api("POST", "/api/control/poll", held)
    assert [(c["task_id"], c["closed"]) for c in told["controls"]] == [("t1", False)]
    task = await api.get()
    assert (task["status"], task["closed"], task["ended_at"]) == ("running", None, None)
    assert [e["kind"] for e in task["events"]].count("task_closed") == 1


async def test_closing_as_failed_asks_for_nobody(api: Api) -> None:
    await api.task()
    await api("PATCH", "/api/tasks/t1", {"status": "waiting", "summary": "?"})
    assert (await api("POST", "/api/tasks/t1/close", {}))[1]["status"] == "failed"
    assert (await api.get())["attention"] is None
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"})
    task = await api.get()
    assert (task["status"], task["attention"]["reason"]) == ("waiting", "waiting"), "it stands as its agent left it"


async def test_progress_is_the_newest_and_ends_with_its_step(api: Api) -> None:
    await api.task(steps=2)
    progress = {"done": 318, "total": 2480, "unit": "files"}
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "progress": progress})
    task = await api.get()
    assert task["measure"] == task["current_step"]["measure"] == task["steps"][0]["measure"] == progress
    assert isinstance(task["measure"]["done"], int)
    await api.events(event("heartbeat", "b1", **BEAT, progress={"done": 0.5}))
    task = await api.get()
    assert (task["measure"], task["steps"][0]["measure"]) == ({"done": 0.5, "total": None, "unit": None}, progress)
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "summary": "still"})
    assert (await api.get())["measure"]["done"] == 0.5
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "done"})
    task = await api.get()
    assert (task["measure"], task["steps"][0]["measure"]) == (None, progress)


async def test_links_and_metadata_change_within_their_bounds(api: Api) -> None:
    await api.task(metadata={"host": "build-7", "tmp": "x"})
    await api.events(
        event("link", "l1", url="https://example.com/pull/1", name="pull \x1b[31mrequest"),
        event("link", "l2", url="https://example.com/pull/1", name="#1"),
        event("metadata", "m1", metadata={"tmp": None, "project": "infra", "none": None}),
    )
    task = await api.get()
    assert task["links"] == [{"url": "https://example.com/pull/1", "name": "#1", "at": AT}]
    assert task["metadata"] == {"host": "build-7", "project": "infra"}
    assert [e["metadata"] for e in task["events"] if e["kind"] == "metadata"] == [
        {"tmp": None, "project": "infra", "none": None}
    ]
    more = {f"k{n}": "v" for n in range(19)}
    code, problem = await api("PATCH", "/api/tasks/t1", {"metadata": more, "status": "done"})
    assert (code, problem["code"], problem["field"]) == (422, "too_many", "metadata")
    assert (await api.get())["status"] == "pending", "it is refused whole"
    body = {"metadata": {"branch": "main"}, "status": "done"}
    for _ in range(2):
        code, answer = await api("PATCH", "/api/tasks/t1", body, headers={"Idempotency-Key": "both"})
        assert (code, answer["status"]) == (200, "done")
    assert (await api.get())["metadata"]["branch"] == "main"
    urls = [event("link", f"n{n}", url=f"http://x/{n}") for n in range(50)]
    results = await api.events(*urls)
    assert [r["status"] for r in results].count("ok") == 49
    assert (results[-1]["code"], results[-1]["detail"]) == ("too_many", "url: a task has at most 50 links")
    assert (await api("POST", "/api/tasks/t1/links", {"url": "http://x/1", "name": "again"}))[0] == 200


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "ftp://host/x", "//host/x", "http://", "https:///x", "http://user:pw@host/",
        "http://user@host/", "http://host/a b", "http://ho\nst/", "http://host:99999/", "https://good.com\\@bad.com/",
        "x" * 2001,
        "http://host/\u202egnp", 'http://host/"onclick="x', "",
    ],
)  # fmt: skip
async def test_what_is_no_safe_address_is_no_link(api: Api, url: str) -> None:
    await api.task()
    code, problem = await api("POST", "/api/tasks/t1/links", {"url": url})
    assert (code, problem["field"]) == (422, "url")
    assert (await api.get())["links"] == []


async def test_unfit_values_name_their_field(api: Api) -> None:
    await api.task()
    step = {"step_id": "a", "title": "A", "status": "pending"}
    unfit: list[tuple[str, str, Any, str]] = [
        ("PATCH", "/api/tasks/t1", {}, "body"),
        ("PATCH", "/api/tasks/t1", {"summary": "alone"}, "body"),
        ("PATCH", "/api/tasks/t1", {"metadata": {"": "x"}}, "metadata"),
        ("PUT", "/api/tasks/t1/steps", {"steps": [step, step]}, "steps"),
        ("PUT", "/api/tasks/t1/steps", {"steps": [step | {"step_id": f"s{n}"} for n in range(201)]}, "steps"),
        ("PUT", "/api/tasks/t1/steps", {"steps": [step | {"status": "odd"}]}, "steps.0.status"),
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "progress": {"done": -1}}, "progress"),
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "progress": {"done": "1"}}, "progress"),
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "progress": {"done": True}}, "progress"),
        ("PATCH", "/api/tasks/t1/steps/s1", {"status": "running", "progress": {"done": 1, "unit": "u" * 21}}, "progress"),
        ("POST", "/api/tasks/t1/links", {"url": "http://x", "name": "n" * 101}, "name"),
        ("POST", "/api/tasks/t1/close", {"status": "running"}, "status"),
        ("POST", "/api/actions", {"action": "stop"}, "body"),
        ("POST", "/api/actions", {"action": "stop", "task_ids": ["t1"], "filter": {"host": "x"}}, "body"),
        ("POST", "/api/actions", {"action": "stop", "filter": {}}, "body"),
        ("POST", "/api/actions", {"action": "stop", "filter": {"odd": 1}}, "filter.odd"),
        ("POST", "/api/actions", {"action": "dance", "task_ids": ["t1"]}, "action"),
        ("GET", "/api/tasks?colour=red", None, "colour"),
        ("GET", "/api/tasks?id_suffix=abc", None, "id_suffix"),
        ("GET", "/api/tasks?sort=updated&cursor=7", None, "cursor"),
        ("GET", "/api/tasks?since=yesterday", None, "since"),
        ("GET", "/api/tasks?attention=maybe", None, "attention"),
    ]
    for method, path, body, field in unfit:
        code, problem = await api(method, path, body)
        assert (code, (problem["field"] or "").startswith(field)) == (422, True), (path, body, problem)
    results = await api.events(event("colour", "e1"), event("task_status", "e2", status="thinking"))
    assert [(r["status"], r["detail"].split(":")[0]) for r in results] == [("rejected", "kind"), ("rejected", "status")]
    assert (await api("GET", "/api/tasks/t1?colour=red"))[0] == 200, "on the list alone"


async def test_a_list_is_narrowed_by_everything_at_once(api: Api) -> None:
    await api.task("parent-0001", title="Parent", steps=0)
    for n in range(4):
        pairs = {"host": f"h{n % 2}", "project": "infra", "agent": "codex"}
        steps = [{"title": f"Übersetzen {n}"}]
        body = {
            "task_id": f"child-000{n}",
            "title": f"Child {n}",
            "steps": steps,
            "metadata": pairs,
            "parent_task_id": "parent-0001",
        }
        assert (await api("POST", "/api/tasks", body | {"at": f"2026-02-28T09:00:0{n}Z"}))[0] == 201

    async def found(**query: str) -> list[str]:
        code, page = await api("GET", "/api/tasks", params=query)
        assert code == 200, page
        return [task["task_id"][-1] for task in page["tasks"]]

    assert await found(host="h1") == ["3", "1"]
    assert await found(host="h1", project="infra", agent="codex", parent="parent-0001", q="child") == ["3", "1"]
    assert await found(host="nobody") == []
    assert await found(parent="parent-0001") == ["3", "2", "1", "0"]
    assert await found(since="2026-02-28T09:00:01Z", until="2026-02-28T09:00:03Z") == ["2", "1"]
    assert await found(id_suffix="0002") == ["2"]
    assert await found(id_suffix="0001") == ["1", "1"]
    assert await found(q="übersetzen 3") == ["3"]
    assert await found(q="CODEX", host="h0") == ["2", "0"]
    await api("PATCH", "/api/tasks/child-0002", {"status": "waiting", "summary": "which colour?"})
    assert (await found(sort="attention"))[0] == "2"
    assert (await found(sort="updated"))[0] == "2"
    assert await found(attention="open") == ["2"]
    step_id = (await api.get("child-0001"))["steps"][0]["step_id"]
    await api("PATCH", f"/api/tasks/child-0001/steps/{step_id}", {"status": "running", "summary": "Straße 7"})
    assert await found(q="strasse") == ["1"]
    child, parent = await api.get("child-0001"), await api.get("parent-0001")
    assert (child["parent_task_id"], child["parent"]) == (
        "parent-0001", {"task_id": "parent-0001", "title": "Parent", "status": "pending"},
    )  # fmt: skip
    assert [sub["task_id"][-1] for sub in parent["subtasks"]] == ["3", "2", "1", "0"]
    assert [sub["status"] for sub in parent["subtasks"]][1] == "waiting"
    await api.task("orphan", parent_task_id="nobody", steps=0)
    await api.task("itself", parent_task_id="itself", steps=0)
    assert ((await api.get("itself"))["parent"], (await api.get("itself"))["subtasks"]) == (None, [])
    assert ((await api.get("orphan"))["parent"], (await api.get("orphan"))["parent_task_id"]) == (None, "nobody")


async def test_many_are_acted_upon_at_once_and_one_that_cannot_be_is_named(api: Api) -> None:
    for n in range(4):
        await api.task(f"t{n}", steps=0, metadata={"host": "h"})
    await api("PATCH", "/api/tasks/t0", {"status": "done"})
    key = {"Idempotency-Key": "stop-them"}
    body = {"action": "stop", "task_ids": ["t0", "t1", "t1", "none"], "reason": "wrong host", "by": "Mu"}
    _, answer = await api("POST", "/api/actions", body, headers=key)
    assert [(r["task_id"], r["status"], r.get("code")) for r in answer["results"]] == [
        ("t0", "rejected", "task_ended"), ("t1", "ok", None), ("none", "rejected", "unknown_task"),
    ]  # fmt: skip
    stop = (await api.get("t1"))["stop"]
    assert (stop["reason"], stop["requested_by"]) == ("wrong host", "Mu")
    _, again = await api("POST", "/api/actions", body, headers=key)
    assert [r["status"] for r in again["results"]] == ["rejected", "duplicate", "rejected"]
    _, other = await api("POST", "/api/actions", body | {"reason": "another"}, headers=key)
    assert other["results"][1]["code"] == "key_reused"

    await api.events(*(event("agent_lost", f"l{n}", f"t{n}", summary="gone") for n in range(1, 4)))
    lost = {"status": "stale", "host": "h", "attention": "open"}
    _, seen = await api("POST", "/api/actions", {"action": "acknowledge", "filter": lost, "by": "Mu"})
    assert sorted(r["task_id"] for r in seen["results"]) == ["t1", "t2", "t3"]
    assert (await api("POST", "/api/actions", {"action": "acknowledge", "filter": lost}))[1] == {"results": [], "more": False}
    body = {"action": "close", "filter": {"status": "stale"}, "status": "interrupted", "reason": "box gone", "by": "Mu"}
    _, closed = await api("POST", "/api/actions", body)
    assert {(r["status"], r["task_status"]) for r in closed["results"]} == {("ok", "interrupted")}
    assert (await api.get("t2"))["closed"]["summary"] == "box gone"


async def test_the_document_says_which_words_this_server_knows(api: Api) -> None:
    _, document = await api("GET", "/openapi.json")
    said = document["x-clawlog"]
    assert (said["server"], said["task_page"]) == ("clawlog-status-sync", "/tasks/{task_id}")
    assert {"plan", "step_added", "metadata", "link", "heartbeat"} <= set(said["kinds"])
    assert not {"interrupt_requested", "task_closed", "attention_acknowledged"} & set(said["kinds"])
    assert said["statuses"] == ["running", "waiting", "done", "failed", "interrupted"]
    assert said["members"] == {"metadata": ["title"]}
    assert said["version"] == document["info"]["version"]


async def test_a_page_of_another_site_can_neither_close_nor_acknowledge(api: Api) -> None:
    await api.task()
    headers = {"Origin": "https://elsewhere.example"}
    for method, path, body in (
        ("POST", "/api/tasks/t1/close", {}),
        ("POST", "/api/tasks/t1/acknowledge", {}),
        ("POST", "/api/actions", {"action": "close", "task_ids": ["t1"]}),
        ("PUT", "/api/tasks/t1/steps", {"steps": []}),
        ("POST", "/api/tasks/t1/links", {"url": "http://x"}),
    ):
        code, problem = await api(method, path, body, headers=headers)
        assert (code, problem["code"]) == (403, "foreign_origin"), path


async def test_hostile_text_in_the_new_fields_comes_back_as_one_clean_line(api: Api) -> None:
    hostile = "\x1b[2J<b>\u202egnp\u0000 \u2028x"
    clean = "<b> gnp x"
    await api.task(steps=1)
    results = await api.events(
        event("plan", "p1", steps=[{"step_id": "a", "title": hostile, "status": "running"}]),
        event("step_added", "p2", step_id="b", title=hostile),
        event("metadata", "p3", metadata={hostile: hostile}),
        event("link", "p4", url="https://example.com/", name=hostile),
        event("heartbeat", "p5", **BEAT, progress={"done": 1, "unit": hostile}),
        event("agent_lost", "p6", summary=hostile),
    )
    assert [result["status"] for result in results] == ["ok"] * 6
    assert (await api("POST", "/api/tasks/t1/close", {"summary": hostile, "by": hostile}))[0] == 200
    task = await api.get()
    assert [step["title"] for step in task["steps"]] == [clean, clean]
    assert (task["metadata"], task["links"][0]["name"], task["measure"]["unit"]) == ({clean: clean}, clean, clean)
    assert (task["closed"]["by"], task["closed"]["summary"], task["summary"]) == (clean, clean, clean)

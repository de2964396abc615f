"""The list of tasks and a task's history over real HTTP: pages, searches, filters, and hostile text."""

from __future__ import annotations

from support.engines import BOTH_ENGINES_AT_LENGTH
from support.running_backend import Api, event

pytestmark = BOTH_ENGINES_AT_LENGTH


async def test_the_list_goes_page_by_page_without_a_gap_while_tasks_are_added(api: Api) -> None:
    for n in range(7):
        await api.task(f"t{n}", steps=0)
    seen, cursor = [], ""
    while cursor is not None:
        _, page = await api("GET", f"/api/tasks?limit=3{cursor and '&cursor=' + cursor}")
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = page["next_cursor"]
        await api.task(f"added-{len(seen)}", steps=0)
    assert seen == ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]


async def test_a_search_looks_at_title_summary_and_id_in_any_case(api: Api) -> None:
    await api.task("deploy-7", title="Straße 100%", steps=0)
    await api.task("t2", title="Übung", summary="Writing NGINX config", steps=0)

    async def found(text: str) -> list[str]:
        _, page = await api("GET", "/api/tasks", params={"q": text})
        return [task["task_id"] for task in page["tasks"]]

    assert await found("übung") == ["t2"]
    assert await found("STRASSE") == ["deploy-7"]
    assert await found("nginx") == ["t2"]
    assert await found("Deploy-7") == ["deploy-7"]
    assert await found("100%") == ["deploy-7"]
    assert await found("1%0") == []
    beat = {"at": "2026-02-28T09:00:00Z", "agent_seen_at": "2026-02-28T08:59:58Z", "evidence": "command", "stalled": False}
    await api("POST", "/api/tasks/t2/heartbeat", beat | {"summary": "restarting"})
    assert await found("nginx") == []
    assert await found("restart") == ["t2"]


async def test_each_filter_shows_its_tasks_and_counts_agree(api: Api) -> None:
    for name in ("pending", "running", "waiting", "done", "failed", "interrupted"):
        await api.task(name, steps=0)
        if name != "pending":
            await api("PATCH", f"/api/tasks/{name}", {"status": name})
    await api("POST", "/api/tasks/running/interrupt", {})
    _, page = await api("GET", "/api/tasks?status=all")
    for which, number in page["counts"].items():
        _, shown = await api("GET", "/api/tasks?attention=open" if which == "attention" else f"/api/tasks?status={which}")
        assert len(shown["tasks"]) == number, which
    assert {name: page["counts"][name] for name in ("active", "stopping", "waiting", "attention", "all")} == {
        "active": 3, "stopping": 1, "waiting": 1, "attention": 2, "all": 6,
    }  # fmt: skip


async def test_a_long_history_is_read_backwards(api: Api) -> None:
    await api.task()
    await api.events(*(event("step_status", f"e{n}", step_id="s1", status="running") for n in range(450)))
    task = await api.get()
    assert len(task["events"]) == 200
    seen = task["events"]
    before: int | None = seen[0]["seq"]
    while before is not None:
        _, page = await api("GET", f"/api/tasks/t1/events?before={before}&limit=150")
        seen = page["events"] + seen
        before = page["next_before"]
    assert [e["event_id"] for e in seen[1:]] == [f"e{n}" for n in range(450)]
    assert [e["seq"] for e in seen] == sorted({e["seq"] for e in seen})
    _, page = await api("GET", "/api/tasks/t1/events?kind=task_created&kind=heartbeat")
    assert [e["kind"] for e in page["events"]] == ["task_created"]


async def test_hostile_text_comes_back_as_one_clean_line(api: Api) -> None:
    hostile = "</script><img src=x onerror=alert(1)> \u202egnp.exe 👩‍👩‍👧 \u0000 ' \" ; DROP TABLE tasks"
    clean = "</script><img src=x onerror=alert(1)> gnp.exe 👩‍👩‍👧 ' \" ; DROP TABLE tasks"
    await api.task("t1", title=hostile, summary=hostile, metadata={hostile[:64]: hostile})
    task = await api.get()
    assert (task["title"], task["summary"]) == (clean, clean)
    ((key, value),) = task["metadata"].items()
    assert (clean.startswith(key), value) == (True, clean)


async def test_a_list_of_rows_leaves_out_what_rows_do_not_show_and_names_the_step_that_failed(api: Api) -> None:
    await api.task("t1", steps=3)
    for step, status in (("s1", "failed"), ("s2", "done"), ("s3", "done")):
        await api("PATCH", f"/api/tasks/t1/steps/{step}", {"status": status, "summary": f"{step} {status}"})
    _, page = await api("GET", "/api/tasks?steps=false")
    (row,) = page["tasks"]
    assert not row.keys() & {"steps", "parent_task_id", "measure", "stop"}
    assert (row["current_step"]["step_id"], row["current_step"]["summary"]) == ("s1", "s1 failed")
    _, whole = await api("GET", "/api/tasks")
    assert len(whole["tasks"][0]["steps"]) == 3


async def test_a_long_list_is_compressed_for_those_who_take_that(api: Api) -> None:
    await api.events(*(event("task_created", f"e{n}", f"t{n}", title=f"Task {n}") for n in range(50)))
    sizes = {}
    for taken in ("gzip", "br, gzip;q=0.5", "gzip;q=0", "identity"):
        headers = {"Accept-Encoding": taken}
        async with api.session.get(f"{api.url}/api/tasks", headers=headers) as response:
            assert len((await response.json())["tasks"]) == 50
            assert response.headers["vary"] == "Accept-Encoding"
            sizes[taken] = (response.headers.get("content-encoding"), int(response.headers["content-length"]))
    assert [encoding for encoding, _ in sizes.values()] == ["gzip", "gzip", None, None]
    assert sizes["gzip"][1] * 5 < sizes["identity"][1]

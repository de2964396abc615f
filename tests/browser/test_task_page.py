"""The page of one task: timeline, heartbeats, history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess, ago

Open = Callable[..., Page]


def test_a_link_to_a_task_shows_its_steps_with_durations_and_its_history(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Build the release", "Check", "Compile", "Publish", metadata={"repo": "shop", "branch": "主干"})
    task.step(1, "running", at=ago(300))
    task.step(1, "done", "clean tree", at=ago(240))
    task.step(2, "running", "80 of 200 files", at=ago(240))

    page = open_page(backend.url + task.path)
    expect(page).to_have_title("Working 1/3 – Build the release · ClawLog")
    steps = page.locator(".step-row")
    expect(steps.nth(0)).to_have_text(re.compile(r"Check.*clean tree.*Done.*1 min"))
    expect(steps.nth(1)).to_have_text(re.compile(r"Compile.*80 of 200 files.*Working.*4 min \d+ s"))
    expect(steps.nth(2)).to_have_text(re.compile(r"Publish.*Pending.*not started"))
    expect(page.locator(".metadata")).to_have_text(re.compile("repo.*shop.*branch.*主干"))

    events = page.locator(".event .event-what")
    expect(page.locator(".task-now")).to_have_text(re.compile(r"Now Compile for 4 min.*“80 of 200 files”"))
    expect(events.first).to_have_text(re.compile(r"Step status.*Compile.*Working.*80 of 200 files"))
    expect(events.last).to_have_text("Task created")
    expect(page.locator(".event-late")).to_have_text(re.compile(r"3 events arrived up to \d+ min( \d+ s)? later"))
    assert re.search(r"\d{4}", page.locator(".event-time time").first.get_attribute("title") or "")

    task.step(2, "done")
    expect(steps.nth(1).locator(".badge")).to_have_text("Done")
    expect(events.first).to_have_text(re.compile(r"Step status.*Compile.*Done"))


def test_the_heartbeat_strip_shows_beats_and_the_gap_between_them(backend: BackendProcess, open_page: Open) -> None:
    created = {"kind": "task_created", "task_id": "with-gap", "title": "Beats", "at": ago(900), "steps": []}
    times = [*range(880, 600, -15), *range(300, 0, -15)]
    beats = [
        {"kind": "heartbeat", "task_id": "with-gap", "at": ago(time), "agent_seen_at": ago(time + 5), "evidence": "command"}
        for time in times
    ]
    backend.send(created, *beats)
    page = open_page(f"{backend.url}/tasks/with-gap")
    expect(page.locator(".strip-beat")).to_have_count(2)  # of each run, the history keeps the first; all are counted
    expect(page.locator(".strip-run")).to_have_count(2)
    expect(page.locator(".strip-gap")).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile("39 heartbeats in 15 min · longest gap 5 min"))).to_be_visible()
    expect(page.locator(".event")).to_have_count(1)
    page.get_by_label("Show heartbeats (2)").check()
    expect(page.locator(".event")).to_have_count(3)


def test_a_long_history_can_be_read_to_its_beginning(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Chatty", "Only")
    backend.send(
        *(
            {
                "kind": "step_status",
                "task_id": task.id,
                "step_id": task.steps[0],
                "status": "running",
                "summary": f"line {'abcdefghij'[n % 10]}",
            }
            for n in range(499)
        )
    )
    page = open_page(backend.url + task.path)
    events = page.locator(".event")
    expect(events.first).to_contain_text("line i")
    expect(events).to_have_count(200)
    for _ in range(2):
        page.get_by_role("button", name="Load older").click()
    expect(page.get_by_role("button", name="Load older")).to_be_hidden()
    for left in (300, 100):
        page.get_by_role("button", name=f"Show {left} more").click()
    expect(events).to_have_count(500)
    expect(events.last).to_contain_text("Task created")
    expect(page.get_by_role("button", name="Load older")).to_have_count(0)


def test_a_link_to_a_task_can_be_copied_and_opened_by_another(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("To be shared", "Only")
    page = open_page(backend.url + task.path, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("() => navigator.clipboard.readText()")
    other = open_page(link)
    expect(other.get_by_role("heading", level=1, name="To be shared")).to_be_visible()


def test_a_task_that_does_not_exist_says_so(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(f"{backend.url}/tasks/no-such-task")
    expect(page.get_by_role("heading", name="Task not found")).to_be_visible()
    page.get_by_role("link", name="All tasks").click()
    expect(page).to_have_url(f"{backend.url}/")


def test_ended_steps_are_folded_and_the_current_one_is_in_sight(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Forty services", *(f"service-{n}" for n in range(1, 41)))
    for position in range(1, 38):
        task.step(position, "failed" if position == 5 else "done")
    task.step(38, "running", "reading retry.py")
    page = open_page(backend.url + task.path)
    expect(page.locator(".task-now")).to_have_text(re.compile("Now service-38 .*“reading retry.py”"))
    shown = page.locator(".step-row:visible .step-title")
    expect(shown).to_have_text(["service-36", "service-37", "service-38", "service-39", "service-40"])
    expect(page.locator(".step-row[data-status=running]")).to_be_in_viewport()
    fold = page.get_by_role("button", name="34 done · 1 failed")
    fold.click()
    expect(shown).to_have_count(40)
    page.mouse.wheel(0, 2000)
    expect(page.locator(".task-head")).to_be_in_viewport(ratio=1)


def test_a_history_is_narrowed_searched_folded_and_taken_away(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("=Count the files", "Count", "Report")
    report = {"kind": "step_status", "task_id": task.id, "step_id": task.steps[0], "status": "running"}
    backend.send(*({**report, "summary": f"file {n} of 300"} for n in range(300)))
    task.step(1, "failed", "disk full")
    task.request_stop(reason="=1+1")
    page = open_page(backend.url + task.path)
    events = page.locator(".event")
    expect(events.nth(2)).to_have_text(re.compile(r"Count\s*Working\s*file 299 of 300\s*× 19\d"))
    page.get_by_role("button", name="Load older").click()
    expect(events.nth(2)).to_have_text(re.compile(r"Count\s*Working\s*file 299 of 300\s*× 300"))
    kinds = page.get_by_role("group", name="Kinds of events")
    kinds.get_by_role("button", name="Failed").click()
    expect(events).to_have_text([re.compile(r"Step status\s*Count\s*Failed\s*disk full")])
    kinds.get_by_role("button", name="Stops").click()
    expect(events).to_have_text([re.compile(r"Stop requested\s*=1")])
    kinds.get_by_role("button", name="All").click()
    page.get_by_label("Search the history").fill("disk")
    expect(events).to_have_count(1)

    with page.expect_download() as begun:
        page.get_by_role("button", name="Download CSV").click()
    lines = begun.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("seq,at,received_at,kind")
    assert len(lines) == 304
    assert ",'=1+1," in lines[-1], "a spreadsheet must not take it for a formula"
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download JSON").click()
    assert len(json.loads(begun.value.path().read_text(encoding="utf-8"))) == 303

"""A plan that changes, progress, links and subtasks, as the page shows them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

Open = Callable[..., Page]


def test_a_plan_that_changes_is_redrawn_without_a_reload(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Rewrite the parser", "Read", "Write")
    page = open_page(backend.url + task.path)
    titles = page.locator(".step-title")
    expect(titles).to_have_text(["Read", "Write"])
    first, second = task.steps
    steps = [
        {"step_id": second, "title": "Write the tests first", "status": "running"},
        {"step_id": "new", "title": "Found on the way", "status": "pending"},
        {"step_id": first, "title": "Read", "status": "done"},
    ]
    task.backend.call("PUT", f"/api/tasks/{task.id}/steps", {"steps": steps})
    expect(titles).to_have_text(["Write the tests first", "Found on the way", "Read"])
    expect(page.locator(".step-position")).to_have_text(["1", "2", "3"])
    backend.send({"kind": "step_added", "task_id": task.id, "step_id": "last", "title": "Publish"})
    expect(titles).to_have_text(["Write the tests first", "Found on the way", "Read", "Publish"])
    expect(page.locator(".event .event-what").nth(0)).to_have_text(re.compile("Step added.*Publish"))
    expect(page.locator(".event .event-what").nth(1)).to_have_text(re.compile("Plan changed.*3 steps"))


def test_progress_is_shown_in_words_and_as_a_bar(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Count the files", "Count", "Report")
    task.step(1, "running", progress={"done": 318, "total": 2480, "unit": "files"})
    page = open_page(f"{backend.url}/?q=count+the+files")
    expect(page.locator(".row .measure-words")).to_have_text("318 of 2,480 files")
    task.step(1, "running", progress={"done": 1240, "total": 2480, "unit": "files"})
    expect(page.locator(".row .measure-words")).to_have_text("1,240 of 2,480 files")

    page.goto(backend.url + task.path)
    bar = page.locator(".task-head").get_by_role("progressbar", name="Progress")
    expect(bar).to_have_attribute("aria-valuetext", "1,240 of 2,480 files")
    expect(bar.locator(".measure-done")).to_have_attribute("style", "width: 50%;")
    expect(page.locator(".step-row").first.locator(".measure-words")).to_have_text("1,240 of 2,480 files")
    task.step(1, "running", progress={"done": 12.5, "unit": "GB"})
    expect(page.locator(".task-head .measure-words")).to_have_text("12.5 GB")
    expect(page.locator(".task-head").get_by_role("progressbar")).to_have_count(0)
    task.step(1, "done")
    expect(page.locator(".task-head .measure")).to_be_hidden()


def test_done_with_steps_that_were_never_reported_says_so(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Half told", "One", "Two", "Three")
    task.step(1, "done")
    task.status("done", "all good")
    page = open_page(f"{backend.url}/?q=half+told")
    expect(page.locator(".row-now")).to_have_text("2 steps not reportedall good")
    page.goto(backend.url + task.path)
    expect(page.locator(".task-note")).to_have_text("2 steps not reported")


def test_a_link_opens_beside_the_page_and_hands_nothing_on(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("With links", "One")
    hostile = "<img src=x onerror=alert(1)> \u202epull"
    backend.send(
        {"kind": "link", "task_id": task.id, "url": "https://example.com/pull/42?a=b&c='d'", "name": hostile},
        {"kind": "link", "task_id": task.id, "url": "https://example.com/log"},
    )
    page = open_page(backend.url + task.path)
    links = page.get_by_role("list", name="Links").get_by_role("link")
    expect(links).to_have_text(["<img src=x onerror=alert(1)> pull", "https://example.com/log"])
    for link in links.all():
        assert (link.get_attribute("rel"), link.get_attribute("target")) == ("noopener noreferrer", "_blank")
    assert links.first.get_attribute("href") == "https://example.com/pull/42?a=b&c='d'"


def test_a_server_that_sends_a_script_as_a_link_has_it_left_out(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Forged links", "One")
    backend.send({"kind": "link", "task_id": task.id, "url": "https://example.com/ok"})
    page = open_page(f"{backend.url}/?q=nothing")

    def forge(route) -> None:
        answer = route.fetch()
        body = answer.text().replace("https://example.com/ok", "javascript:alert(1)")
        route.fulfill(response=answer, body=body)

    page.route(f"**/api/tasks/{task.id}", forge)
    page.goto(backend.url + task.path)
    expect(page.get_by_role("heading", level=1, name="Forged links")).to_be_visible()
    expect(page.locator(".event").first).to_contain_text("Link")
    expect(page.locator("a[href^='javascript']")).to_have_count(0)


def test_parent_and_subtasks_lead_to_each_other(backend: BackendProcess, open_page: Open) -> None:
    parent = backend.create("The whole", "One")
    part = backend.create("A part", "One", parent_task_id=parent.id)
    part.step(1, "running")
    page = open_page(backend.url + parent.path)
    related = page.get_by_role("region", name="Related tasks")
    expect(related.get_by_role("listitem")).to_have_text(["subtaskA partWorking"])
    related.get_by_role("link", name="A part").click()
    expect(page.get_by_role("heading", level=1, name="A part")).to_be_visible()
    expect(page.get_by_role("region", name="Related tasks").get_by_role("listitem")).to_have_text(["part ofThe wholeWorking"])
    part.step(1, "done")
    expect(page.locator(".task-facts .badge")).to_have_text("Done")
    expect(page.get_by_role("region", name="Related tasks")).to_be_visible()

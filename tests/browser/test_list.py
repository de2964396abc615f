"""The list of tasks: live, filtered, searched, and quick with a crowd."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Locator, Page, Route, expect

from support.backend_process import BackendProcess, ago

Open = Callable[..., Page]


def row(page: Page, title: str):
    return page.locator(".row").filter(has=page.get_by_role("link", name=title, exact=True))


def unique(title: str) -> str:
    return f"{title} {uuid.uuid4().hex[:8]}"


def test_an_empty_backend_says_how_to_begin(own_backend: Callable[..., BackendProcess], open_page: Open) -> None:
    page = open_page(own_backend().url)
    expect(page.get_by_role("heading", name="No tasks yet")).to_be_visible()
    expect(page.get_by_text("clawlog run")).to_be_visible()
    expect(page.locator(".connection")).to_have_text("Live")


def test_a_task_appears_and_moves_on_without_a_reload(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url)
    expect(page.locator(".connection")).to_have_text("Live")
    page.evaluate("window.wasNotReloaded = true")
    title = unique("Deploy nginx")

    task = backend.create(title, "Check", "Configure", "Start")
    shown = row(page, title)
    expect(shown.locator(".badge")).to_have_text("Working")
    expect(shown.get_by_role("img", name="0 of 3 steps")).to_be_visible()

    task.step(1, "done", "all there")
    task.step(2, "running", "writing the template")
    expect(shown.locator(".step")).to_have_text("Configure")
    expect(shown.locator(".summary")).to_have_text("writing the template")
    expect(shown.get_by_role("img", name="1 of 3 steps")).to_be_visible()

    task.beat(reported_ago=4)
    expect(shown.locator(".evidence")).to_have_text(re.compile(r"last report \d+ s ago"))
    shown.hover()
    expect(shown.locator(".evidence")).to_have_attribute("title", re.compile(r"last report \d+ s ago.*process seen \d+ s ago"))

    task.step(2, "done")
    task.step(3, "failed", "port in use")
    expect(shown.locator(".badge")).to_have_text("Failed")
    expect(shown.locator(".step")).to_have_text("Start")
    expect(shown.locator(".summary")).to_have_text("port in use")
    expect(shown.locator(".row-button:visible")).to_have_text(["Acknowledge"])
    assert page.evaluate("window.wasNotReloaded") is True


def test_what_needs_attention_comes_first_and_shows_in_title_and_icon(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    lost = backend.create("Lost one", "Only step")
    lost.beat()
    lost.lose("process 4242 ended without finishing the task")
    stalled = backend.create("Stalled one", "Only step")
    stalled.beat(reported_ago=700, stalled=True)
    backend.create("Healthy one", "Only step").beat()

    page = open_page(backend.url)
    expect(page.locator(".row .title")).to_have_text(["Lost one", "Stalled one", "Healthy one"])
    expect(page.get_by_role("heading", level=2)).to_have_text(["Needs attention2", "In progress1"])
    expect(page.locator(".row .badge")).to_have_text(["Dead", "No signal", "Working"])
    expect(row(page, "Lost one").locator(".row-now")).to_contain_text("process 4242 ended without finishing the task")
    expect(page).to_have_title("(2) 3 in progress · ClawLog")
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile(r"^data:image/svg\+xml,.*%3E2%3C"))


def test_filters_count_and_narrow_and_can_be_shared(own_backend: Callable[..., BackendProcess], open_page: Open) -> None:
    backend = own_backend()
    backend.create("Running now", "One").step(1, "running")
    backend.create("Went wrong", "One").step(1, "failed")
    backend.create("Went well", "One").step(1, "done")
    backend.create("Being stopped", "One").request_stop()
    page = open_page(backend.url)

    filters = page.get_by_role("navigation", name="Show")
    counts = {
        "Needs you": 0,
        "Failed": 1,
        "Dead": 0,
        "No signal": 0,
        "Working": 1,
        "Stopping": 1,
        "Stopped": 0,
        "Done": 1,
        "All": 4,
    }
    for name, count in counts.items():
        expect(filters.get_by_role("link").filter(has_text=name).locator(".filter-count")).to_have_text(str(count))

    filters.get_by_role("link").filter(has_text="Failed").click()
    expect(page.locator(".row .title")).to_have_text(["Went wrong"])
    expect(page).to_have_url(f"{backend.url}/?status=failed")
    page.go_back()
    expect(page.locator(".row")).to_have_count(4)

    shared = open_page(f"{backend.url}/?status=stopping")
    expect(shared.locator(".row .title")).to_have_text(["Being stopped"])
    expect(filters.get_by_role("link").filter(has_text="All")).to_have_attribute("aria-current", "true")


def test_search_finds_by_title_and_says_when_nothing_fits(backend: BackendProcess, open_page: Open) -> None:
    title = unique("Straße 部署")
    backend.create(title, "One")
    page = open_page(backend.url)
    expect(page.locator(".connection")).to_have_text("Live")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search tasks")
    expect(search).to_be_focused()
    search.fill(title.split()[-1])
    expect(page.locator(".row .title")).to_have_text([title])
    expect(page).to_have_url(re.compile(r"\?q="))
    search.fill("no such words <b>at all</b>")
    expect(page.get_by_text("No task matches “no such words <b>at all</b>”.")).to_be_visible()
    page.get_by_role("link", name="Show all tasks").click()
    expect(search).to_have_value("")
    expect(page).to_have_url(f"{backend.url}/")


def test_coming_back_from_a_task_finds_the_list_as_it_was(backend: BackendProcess, open_page: Open) -> None:
    title = unique("Go and return")
    backend.create(title, "One")
    page = open_page(f"{backend.url}/?status=active")
    row(page, title).get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    page.go_back()
    expect(row(page, title)).to_be_visible()
    expect(page).to_have_url(f"{backend.url}/?status=active")


def test_counts_are_of_all_tasks_though_the_page_holds_a_part(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    def keep_little(route: Route) -> None:
        script = route.fetch().text()
        for bound in ("FIRST = 60", "PAGE = 500", "MOST = 5_000"):
            assert bound in script
            script = script.replace(bound, f"{bound.split()[0]} = 2")
        route.fulfill(body=script, content_type="text/javascript")

    def counts(status: str) -> Locator:
        return page.locator(f".filter[data-filter={status}]").locator(".filter-count, .filter-new")

    backend = own_backend()
    working = backend.create("Begun first", "One")
    working.beat()
    for status in ("failed", "failed", "failed", "done", "done", "done", "done"):
        backend.create(f"It {status}", "One").status(status)
    backend.call("POST", "/api/actions", {"action": "acknowledge", "filter": {"status": "failed"}})
    backend.create("It failed anew", "One").status("failed")
    page = open_page(backend.url)
    page.set_viewport_size({"width": 1000, "height": 100})  # what there is more of comes as one scrolls
    page.route("**/list-loader.js*", keep_little)
    page.goto(f"{backend.url}/?range=all")
    expect(counts("failed")).to_have_text(["4", "(1 new)"])
    expect(counts("done")).to_have_text(["4"])
    expect(counts("all")).to_have_text(["9"])
    expect(page.locator(".row .title", has_text="Begun first")).to_have_count(1)
    assert page.locator(".row").count() < 9
    working.status("done")
    expect(counts("done")).to_have_text(["5"])
    expect(counts("running")).to_have_text(["0"])
    page.goto(backend.url)
    expect(counts("failed")).to_have_text([re.compile(r"^\d\+$"), "(1 new)"])


@pytest.mark.timeout(120)
def test_five_thousand_tasks_do_not_stutter(own_backend: Callable[..., BackendProcess], open_page: Open) -> None:
    backend = own_backend()
    for first in range(0, 5000, 1000):
        backend.send(
            *(
                {
                    "kind": "task_created",
                    "task_id": f"crowd-{n}",
                    "title": f"Task {n}",
                    "at": ago(0),
                    "steps": [{"step_id": f"crowd-{n}-{k}", "title": f"Step {k}"} for k in range(3)],
                }
                for n in range(first, first + 1000)
            )
        )
    page = open_page(backend.url)
    page.wait_for_function("() => document.querySelector('.rows')?.offsetHeight >= 5000 * 36", timeout=30_000)
    expect(page.locator(".filter[data-filter=running] .filter-count")).to_have_text("5,000")
    assert page.locator(".row").count() < 80, "only the rows near the window are in the document"

    # The time that the page works while one scrolls through all of it and tasks change. A mean, for a machine with other
    # work makes single frames late that took no long time to draw.
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    page.evaluate("window.scrollTo(0, 0)")
    before = busy_s(client)
    backend.send(
        *({"kind": "step_status", "task_id": f"crowd-{n}", "step_id": f"crowd-{n}-0", "status": "running"} for n in range(50))
    )
    for part in range(1, 21):
        page.evaluate(f"window.scrollTo(0, document.documentElement.scrollHeight * {part} / 20)")
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    expect(page.get_by_role("link", name="Task 0", exact=True)).to_be_in_viewport()
    assert 0 < (busy_s(client) - before) / 20 < 0.1


def busy_s(client: CDPSession) -> float:
    """How long the page's main thread has worked so far: scripts, styles, layout."""
    metrics = {metric["name"]: metric["value"] for metric in client.send("Performance.getMetrics")["metrics"]}
    return float(metrics["ScriptDuration"] + metrics["LayoutDuration"] + metrics["RecalcStyleDuration"])

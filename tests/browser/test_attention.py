"""What needs a person: a question, a failure, a lost agent; and what a person can do about each."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from support.backend_process import BackendProcess, ago

Open = Callable[..., Page]


def row(page: Page, title: str) -> Locator:
    return page.locator(".row").filter(has=page.get_by_role("link", name=title, exact=True))


def filter_count(page: Page, name: str) -> Locator:
    return page.locator(f".filter[data-filter={name}] .filter-count")


def test_a_waiting_task_shows_its_question_and_leaves_when_it_goes_on(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    task = backend.create("Migrate the table", "Copy", "Drop")
    task.step(1, "running", "copying")
    task.status("waiting", "approve DROP COLUMN x?", at=ago(240))
    page = open_page(backend.url)
    shown = row(page, "Migrate the table")
    expect(shown.locator(".badge")).to_have_text("Needs you")
    expect(shown.locator(".row-now")).to_have_text("approve DROP COLUMN x?")
    expect(shown.locator(".evidence")).to_have_text("asked 4 min ago")
    expect(shown.locator(".row-button:visible")).to_have_text(["Stop"])
    expect(page.get_by_role("heading", level=2)).to_have_count(0)
    expect(page).to_have_title("(1) 1 in progress · ClawLog")
    expect(filter_count(page, "waiting")).to_have_text("1")
    page.locator(".filter[data-filter=waiting]").click()
    expect(page.locator(".row")).to_have_count(1)

    page.goto(backend.url + task.path)
    expect(page.locator(".task-summary")).to_have_text("approve DROP COLUMN x?")
    expect(page.locator(".task-facts")).to_contain_text("asked 4 min ago")
    buttons = page.locator(".task-actions button:visible")
    expect(buttons).to_have_text(["Stop", "Close"])
    task.status("running", "approved by Mei")
    expect(page.locator(".task-facts .badge")).to_have_text("Working")
    expect(page.locator(".task-now")).to_contain_text("Copy")
    expect(buttons).to_have_text(["Stop"])


def test_a_failure_needs_attention_until_somebody_acknowledges_it(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    task = backend.create("Nightly backup", "Upload", at=ago(9 * 3600))
    task.status("failed", "disk full", at=ago(8 * 3600))
    page = open_page(backend.url)
    failed = page.locator(".filter[data-filter=failed]")
    expect(failed).to_have_text("Failed1(1 new)")
    row(page, "Nightly backup").get_by_role("button", name="Acknowledge task: Nightly backup").click()
    dialog = page.get_by_role("dialog", name="Acknowledge this task?")
    expect(dialog.get_by_label("Your name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(failed).to_have_text("Failed1(1 new)")
    row(page, "Nightly backup").locator(".row-button:visible").click()
    dialog.get_by_label("Your name").fill("Mei")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(failed).to_have_text("Failed1")
    expect(row(page, "Nightly backup").locator(".row-button:visible")).to_have_count(0)
    page.goto(backend.url + task.path)
    expect(page.locator(".task-note")).to_have_text(re.compile(r"acknowledged by Mei \d+ s ago"))
    expect(page.locator(".event").first).to_have_text(re.compile("Acknowledged by a person.*Mei"))


def test_a_dead_task_is_closed_and_not_asked_to_stop_and_its_clocks_stand_still(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    task = backend.create("Render", "Frames", at=ago(600))
    task.step(1, "running", at=ago(540))
    task.beat()
    task.lose("process 4242 ended (killed by signal 9)")
    page = open_page(backend.url)
    shown = row(page, "Render")
    expect(shown.locator(".row-button:visible")).to_have_text(["Close"])
    expect(shown.locator(".badge")).to_have_text("Dead")
    expect(shown.locator(".elapsed")).to_have_text("ran 10 min")
    page.goto(backend.url + task.path)
    duration, bar, seen = page.locator(".step-duration"), page.locator(".step-bar"), page.locator(".ages time").last
    expect(duration).to_have_text(re.compile(r"9 min( \d+ s)?"))
    before = duration.inner_text(), bar.get_attribute("style")
    for _ in range(2):  # two seconds go by on the page
        expect(seen).not_to_have_text(seen.inner_text())
    assert (duration.inner_text(), bar.get_attribute("style")) == before

    expect(page.locator(".task-actions button:visible")).to_have_text(["Acknowledge", "Close"])
    page.get_by_role("button", name="Close task: Render").click()
    dialog = page.get_by_role("dialog", name="Close this task?")
    dialog.get_by_label("End it as").select_option("Stopped")
    dialog.get_by_label("Reason").fill("the machine was replaced")
    dialog.get_by_label("Your name").fill("Mei")
    dialog.get_by_role("button", name="Close it").click()
    expect(page.locator(".task-facts .badge")).to_have_text("Stopped")
    expect(page.locator(".task-summary")).to_have_text("the machine was replaced")
    expect(page.locator(".task-note")).to_have_text(re.compile("closed by Mei"))
    expect(page.locator(".task-actions button:visible")).to_have_count(0)
    assert backend.call("GET", f"/api/tasks/{task.id}/control")["closed"] is True


def test_a_close_that_the_server_refuses_says_why(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Back again", "Only")
    task.lose("lease ran out")
    page = open_page(backend.url + task.path)
    page.get_by_role("button", name="Close task: Back again").click()
    task.beat()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Close it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("ask it to stop instead")


def test_a_dead_task_can_be_closed_on_a_phone(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Dead on the phone", "Only")
    task.lose("gone")
    page = open_page(f"{backend.url}/?q=on+the+phone", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Close task: Dead on the phone").tap()
    confirm = page.get_by_role("button", name="Close it")
    expect(confirm).to_be_in_viewport()
    confirm.tap()
    expect(row(page, "Dead on the phone").locator(".badge")).to_have_text("Failed")
    assert backend.call("GET", f"/api/tasks/{task.id}")["attention"] is None

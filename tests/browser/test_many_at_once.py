"""Many tasks selected, and stopped, closed or acknowledged with one reason and one confirmation; and who is told unasked."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess, Task

Open = Callable[..., Page]


def failed(backend: BackendProcess, title: str) -> Task:
    task = backend.create(title, "Only")
    task.step(1, "failed", "exit status 1")
    return task


def test_selected_tasks_are_acknowledged_and_stopped_with_one_confirmation_each(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    broken = [failed(backend, f"Broken {n}") for n in range(2)]
    at_work = [backend.create(f"At work {n}", "Only") for n in range(3)]
    for task in at_work:
        task.step(1, "running")
    page = open_page(backend.url, viewport={"width": 1440, "height": 900})
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(5)
    boxes.first.check()
    boxes.last.click(modifiers=["Shift"])
    bar = page.get_by_role("region", name="Selected tasks")
    expect(bar.get_by_role("status")).to_have_text("5 selected")
    expect(bar.get_by_role("button")).to_have_text(["Stop 3", "Acknowledge 2", "Clear"])

    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Acknowledge these 2 tasks?")
    expect(dialog.get_by_role("listitem")).to_have_text(["Broken 1", "Broken 0"])
    dialog.get_by_label("Your name").fill("Mei")
    dialog.get_by_role("button", name="Acknowledge all 2").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".filter[data-filter=failed]")).to_have_text("Failed2")
    assert {backend.call("GET", f"/api/tasks/{task.id}")["attention"]["acknowledged_by"] for task in broken} == {"Mei"}

    page.get_by_role("button", name="Stop all 3 of In progress").click()
    dialog = page.get_by_role("dialog", name="Ask these 3 tasks to stop?")
    dialog.get_by_label("Reason").fill("wrong branch")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".row .badge")).to_have_text([*["Stopping"] * 3, *["Failed"] * 2])
    assert {backend.call("GET", f"/api/tasks/{task.id}/control")["reason"] for task in at_work} == {"wrong branch"}


def test_what_could_not_be_done_to_some_is_said_with_its_reason(backend: BackendProcess, open_page: Open) -> None:
    tasks = [backend.create(f"Gone for good {n}", "Only") for n in range(2)]
    for task in tasks:
        task.lose("lease ran out")
    page = open_page(f"{backend.url}/?q=gone+for+good", viewport={"width": 1440, "height": 900})
    expect(page.locator(".row .badge")).to_have_text(["Dead"] * 2)
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Close 2 selected tasks").click()
    tasks[0].beat()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Close all 2").click()
    expect(dialog.get_by_role("alert")).to_have_text(re.compile("Not done for 1: Gone for good 0: .*ask it to stop instead"))
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".row .badge")).to_have_text(["Working", "Failed"])


def test_a_reader_who_asked_for_it_is_notified_of_what_needs_a_person(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Tell me about it", "Only")
    other = backend.create("Nothing to tell", "Only")
    page = open_page(backend.url)
    page.add_init_script("""
        window.told = [];
        window.Notification = class extends EventTarget {
            static permission = "default";
            static async requestPermission() { return (this.permission = "granted"); }
            constructor(title, { body }) { super(); window.told.push(`${title} | ${body}`); }
        };
        document.hasFocus = () => false;
    """)
    page.reload()
    expect(page.locator(".connection")).to_have_text("Live")
    bell = page.get_by_role("button", name="Notifications")
    expect(bell).to_have_attribute("aria-pressed", "false")
    task.step(1, "running")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    task.status("waiting", "go on?")
    other.step(1, "running")
    page.wait_for_function("() => window.told.length > 0")
    task.status("done", "all good")
    page.wait_for_function("() => window.told.length > 1")
    assert page.evaluate("window.told") == ["Needs you: Tell me about it | go on?", "Done: Tell me about it | all good"]

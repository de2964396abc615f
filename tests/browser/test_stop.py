"""A person stops a task in the browser and watches the receipts come."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

Open = Callable[..., Page]


def stage(page: Page, name: str):
    return page.locator(f".receipts .stage[data-stage={name}]")


def test_stop_from_the_list_shows_each_receipt_until_the_ack(backend: BackendProcess, open_page: Open) -> None:
    title = f"Stop me {uuid.uuid4().hex[:8]}"
    task = backend.create(title, "First", "Second")
    task.step(1, "running", "at work")
    task.beat()
    page = open_page(backend.url)

    page.get_by_role("button", name=f"Stop task: {title}").click()
    dialog = page.get_by_role("dialog", name="Ask this task to stop?")
    expect(dialog).to_contain_text(title)
    reason = dialog.get_by_label("Reason")
    expect(reason).to_be_focused()
    reason.fill("wrong branch 分支不对")
    dialog.get_by_label("Your name").fill("Mei")
    dialog.get_by_role("button", name="Ask it to stop").click()

    expect(page).to_have_url(backend.url + task.path)
    expect(stage(page, "requested")).to_have_attribute("data-reached", "")
    expect(stage(page, "seen")).to_contain_text("waiting for")
    expect(page.locator(".receipts")).to_contain_text("wrong branch 分支不对")
    expect(page.locator(".receipts")).to_contain_text("by Mei")
    expect(page.locator(".task-facts .badge")).to_have_text("Stopping")
    assert backend.call("GET", f"/api/tasks/{task.id}/control")["reason"] == "wrong branch 分支不对"

    task.receipt("interrupt_seen")
    expect(stage(page, "seen")).to_have_text(re.compile(r"after [\d.]+ (ms|s)$"))
    expect(stage(page, "delivered")).to_contain_text("waiting for")
    expect(page.locator("#announcer")).to_have_text("Stop: Seen")
    task.receipt("interrupt_delivered")
    expect(stage(page, "delivered")).to_have_text(re.compile(r"after [\d.]+ (ms|s)$"))
    task.receipt("interrupt_ack", summary="stopped after the first step")
    expect(stage(page, "acknowledged")).to_have_text(re.compile(r"after [\d.]+ (ms|s)$"))
    expect(page.locator(".receipts")).to_contain_text("stopped after the first step")
    expect(page.locator(".task-facts .badge")).to_have_text("Stopped")
    expect(page.get_by_role("button", name=f"Stop task: {title}")).to_have_count(0)


def test_a_stop_that_is_not_confirmed_is_not_asked_for(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("Not to be stopped", "Only")
    page = open_page(backend.url + task.path)
    button = page.get_by_role("button", name="Stop task: Not to be stopped")
    for leave in ("Escape", "Keep running"):
        button.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        if leave == "Escape":
            page.keyboard.press("Escape")
        else:
            dialog.get_by_role("button", name=leave).click()
        expect(dialog).to_have_count(0)
        expect(button).to_be_focused()
    assert backend.call("GET", f"/api/tasks/{task.id}/control")["interrupt_requested"] is False


def test_stop_by_keyboard_alone(backend: BackendProcess, open_page: Open) -> None:
    title = f"Keys {uuid.uuid4().hex[:8]}"
    task = backend.create(title, "Only")
    page = open_page(f"{backend.url}/?q={title.split()[1]}")
    expect(page.locator(".row .title")).to_have_text([title])
    page.locator(".row .title").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=f"Stop task: {title}")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("enough")
    page.keyboard.press("Control+Enter")
    expect(stage(page, "requested")).to_have_attribute("data-reached", "")
    assert backend.call("GET", f"/api/tasks/{task.id}/control")["reason"] == "enough"


def test_a_stop_that_fails_says_so_and_can_be_tried_again(own_backend: Callable[..., BackendProcess], open_page: Open) -> None:
    backend = own_backend()
    task = backend.create("Hard to stop", "Only")
    page = open_page(backend.url + task.path)
    page.get_by_role("button", name="Stop task: Hard to stop").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("please")
    backend.stop()
    dialog.get_by_role("button", name="Ask it to stop").click()
    expect(dialog.get_by_role("alert")).to_contain_text("the server cannot be reached")
    backend.start()
    dialog.get_by_role("button", name="Ask it to stop").click()
    expect(dialog).to_have_count(0)
    expect(stage(page, "requested")).to_have_attribute("data-reached", "")

"""What axe-core can find, in both colour schemes, on every page; and a page that a phone can show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess, ago

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory):
    """A backend with tasks in every state."""
    backend = BackendProcess(tmp_path_factory.mktemp("crowd"))
    backend.start()
    states = {
        "running": backend.create("Running", "First", "Second", "Third", summary="a task at work"),
        "failed": backend.create("Failed", "First", "Second"),
        "done": backend.create("Done", "First"),
        "lost": backend.create("Lost", "First"),
        "stalled": backend.create("Stalled", "First"),
        "stopping": backend.create("Stopping", "First"),
        "stopped": backend.create("Stopped", "First"),
        "pending": backend.create("Pending", "First"),
        "waiting": backend.create("Waiting", "First", "Second"),
    }
    states["subtask"] = backend.create("Part of it", "First", parent_task_id=states["waiting"].id)
    backend.call("POST", f"/api/tasks/{states['waiting'].id}/links", {"name": "pull request", "url": "https://example.com/1"})
    states["waiting"].step(1, "running", progress={"done": 318, "total": 2480, "unit": "files"})
    states["waiting"].status("waiting", "go on?")
    states["running"].step(1, "skipped", "not needed")
    states["running"].step(2, "running", "half way", at=ago(60))
    states["running"].beat()
    states["failed"].step(1, "failed", "exit status 1")
    states["failed"].status("failed")
    states["done"].step(1, "done")
    states["lost"].beat()
    states["lost"].lose("process 4242 ended without finishing the task")
    states["stalled"].step(1, "running")
    states["stalled"].beat(reported_ago=900, stalled=True)
    for name in ("stopping", "stopped"):
        states[name].request_stop(reason="enough", requested_by="Mei")
        states[name].receipt("interrupt_seen")
    states["stopped"].receipt("interrupt_ack", summary="stopped")
    yield backend, states
    backend.stop()


def violations(page: Page) -> str:
    # Motion is off, so that a colour is not measured in the middle of an animation.
    return str(Axe().run(page, options={"resultTypes": ["violations"]}).generate_report())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_list_and_in_the_dialog(scheme: str, crowd, open_page: Open) -> None:
    backend, states = crowd
    page = open_page(backend.url, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(".row")).to_have_count(len(states))
    assert "Found 0 accessibility violations" in (report := violations(page)), report
    for action in ("Stop task: Running", "Close task: Lost", "Acknowledge task: Failed"):
        page.get_by_role("button", name=action).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert "Found 0 accessibility violations" in (report := violations(page)), report
        page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("state", "scheme"),
    [
        ("running", "light"),
        ("lost", "dark"),
        ("stopped", "light"),
        ("stopping", "dark"),
        ("waiting", "light"),
        ("waiting", "dark"),
    ],
)
def test_axe_finds_nothing_on_the_task_page(state: str, scheme: str, crowd, open_page: Open) -> None:
    backend, states = crowd
    page = open_page(backend.url + states[state].path, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(".event").first).to_be_visible()
    assert "Found 0 accessibility violations" in (report := violations(page)), report


@pytest.mark.parametrize("width", [320, 768, 1920])
def test_no_page_scrolls_sideways_at_any_width(width: int, crowd, open_page: Open) -> None:
    backend, states = crowd
    page = open_page(backend.url, viewport={"width": width, "height": 800})
    for path in ("/", states["running"].path, states["stopped"].path, states["waiting"].path):
        page.goto(backend.url + path)
        expect(page.locator(".row, .step-row").first).to_be_visible()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path


def test_a_task_can_be_stopped_on_a_phone(crowd, open_page: Open) -> None:
    backend, _ = crowd
    backend.create("Stop on the phone", "Only")
    page = open_page(f"{backend.url}/?q=phone", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Stop task: Stop on the phone").tap()
    confirm = page.get_by_role("button", name="Ask it to stop")
    expect(confirm).to_be_in_viewport()
    confirm.tap()
    expect(page.get_by_role("heading", name="Stop request")).to_be_visible()


def test_one_can_skip_to_the_content(crowd, open_page: Open) -> None:
    backend, _ = crowd
    page = open_page(backend.url)
    expect(page.locator(".row").first).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

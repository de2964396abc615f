"""The dashboard below a path of another server."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

PREFIX = "/tools/clawlog"


def test_the_whole_dashboard_works_below_a_path(
    own_backend: Callable[..., BackendProcess], open_page: Callable[..., Page]
) -> None:
    backend = own_backend(root_path=PREFIX)
    backend.call("POST", "/api/tasks", {"task_id": "t1", "title": "Deploy", "steps": [{"step_id": "s1", "title": "Check"}]})
    page = open_page(f"{backend.url}{PREFIX}/")
    page.get_by_role("link", name="Deploy").click()
    expect(page).to_have_url(f"{backend.url}{PREFIX}/tasks/t1")
    expect(page.get_by_text("Check")).to_be_visible()
    backend.call("PATCH", "/api/tasks/t1", {"status": "running", "summary": "pushed"})
    expect(page.get_by_text("pushed").first).to_be_visible()  # by the stream
    page.reload()
    expect(page.get_by_text("Check")).to_be_visible()
    page.locator("a.back").click()
    expect(page).to_have_url(f"{backend.url}{PREFIX}/")
    expect(page.get_by_role("link", name="Deploy")).to_be_visible()

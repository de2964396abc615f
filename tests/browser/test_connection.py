"""The page and its server: a restart under an open page, and silence that is not blamed on the tasks."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from browser.backend_process import BackendProcess

Open = Callable[..., Page]


def test_a_restart_of_the_backend_is_survived_without_a_reload(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    backend.create("Before the restart", "Only")
    page = open_page(backend.url)
    expect(page.locator(".row .title")).to_have_text(["Before the restart"])
    page.evaluate("window.wasNotReloaded = true")

    backend.stop()
    expect(page.locator(".connection")).to_have_text("Reconnecting…")
    expect(page.locator(".row .title")).to_have_text(["Before the restart"])
    expect(page.locator(".connection")).to_have_text("Disconnected", timeout=20_000)
    expect(page.get_by_text("The server cannot be reached. You see what was known")).to_be_visible()
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    assert page.title().startswith("⚠")

    backend.start()
    backend.create("After the restart", "Only")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".connection")).to_have_text("Live", timeout=20_000)
    expect(page.locator(".row .title")).to_have_text(["After the restart", "Before the restart"])
    backend.create("Live again", "Only")
    expect(page.locator(".row .title")).to_have_text(["Live again", "After the restart", "Before the restart"])
    assert page.evaluate("window.wasNotReloaded") is True


def test_while_the_server_is_away_no_task_is_called_silent(own_backend: Callable[..., BackendProcess], open_page: Open) -> None:
    backend = own_backend()
    task = backend.create("Healthy", "Only")
    task.step(1, "running")
    task.beat()
    page = open_page(backend.url)
    page.clock.install()
    expect(page.locator(".row .pill")).to_have_text("Alive")
    backend.stop()
    expect(page.locator(".connection")).not_to_have_text("Live")
    page.clock.run_for(300_000)
    expect(page.locator(".connection")).to_have_text("Disconnected")
    expect(page.locator(".row .pill")).to_have_text("Alive")
    expect(page.locator(".row .badge")).to_have_text("Running")

"""A backend with a token: the dashboard asks for it, and forgets on request."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

Open = Callable[..., Page]

TOKEN = "a-token-for-this-test-alone"


def test_the_token_opens_the_dashboard_and_logging_out_closes_it(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend(token=TOKEN)
    task = backend.create("Behind the door", "Only")
    page = open_page(backend.url + task.path)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_text("Behind the door")).to_have_count(0)

    token = page.get_by_label("Access token")
    token.fill("not the token at all")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That token was not accepted.")

    token.fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1, name="Behind the door")).to_be_visible()
    page.get_by_role("button", name="Stop task: Behind the door").click()
    page.get_by_role("button", name="Ask it to stop").click()
    expect(page.get_by_role("heading", name="Stop request")).to_be_visible()

    page.reload()
    expect(page.get_by_role("heading", level=1, name="Behind the door")).to_be_visible()
    cookie = page.context.cookies()[0]
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in cookie["value"]
    assert page.evaluate("JSON.stringify(localStorage)").find(TOKEN) == -1

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_without_a_token_there_is_no_log_out(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url)
    expect(page.locator(".connection")).to_have_text("Live")
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)

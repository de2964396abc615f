"""The test of notifications on the page: it reaches a real receiver, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess
from support.receivers import SECRET, WebhookReceiver

Open = Callable[..., Page]

TOKEN = "a-token-for-this-test-alone"
SETTINGS = """
[[notifications.target]]
name = "ops"
webhook = "{url}"
secret = "{secret}"

[[notifications.rule]]
name = "trouble"
events = ["failed"]
to = ["ops"]
"""


def test_a_test_message_is_sent_by_who_may_and_its_outcome_is_told(
    own_backend: Callable[..., BackendProcess], open_page: Open, tmp_path: Path
) -> None:
    with WebhookReceiver() as receiver:
        config = tmp_path / "backend.toml"
        config.write_text(SETTINGS.format(url=receiver.url, secret=SECRET), encoding="utf-8")
        page = open_page(own_backend(token=TOKEN, config=config).url)
        page.get_by_label("Access token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Display").click()
        dialog = page.get_by_role("dialog", name="Display")
        expect(dialog.get_by_text("The server tells: ops")).to_be_visible()
        dialog.get_by_role("button", name="Send a test message").click()
        expect(dialog.get_by_role("status")).to_have_text("ops: delivered")
        assert [document["type"] for document in receiver.taken] == ["test"]
        receiver.answer = lambda _: (503, {})
        dialog.get_by_role("button", name="Send a test message").click()
        expect(dialog.get_by_role("status")).to_have_text("ops: not delivered (answered 503)")
        page.get_by_role("button", name="Close").click()
        # Not without the log-in's token against forged requests.
        forged = page.evaluate(
            "() => fetch('/api/notifications/test', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            " body: '{}'}).then((answer) => answer.status)"
        )
        assert (forged, len(receiver.requests)) == (403, 2)


def test_where_nobody_is_told_there_is_nothing_to_try(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url)
    with page.expect_response(lambda answer: answer.url.endswith("/api/notifications")):
        page.get_by_role("button", name="Display").click()
    expect(page.get_by_role("button", name="Send a test message")).to_have_count(0)

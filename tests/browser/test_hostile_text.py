"""What an agent writes is shown as it wrote it, and is never more than text."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from clawlog_backend.domain.texts import one_line
from support.backend_process import BackendProcess

Open = Callable[..., Page]

WORDS = {
    "markup": "</script><img src=x onerror=\"window.hacked=1\"><svg onload='window.hacked=1'>",
    "template": "{title} ${7*7} {{constructor}} &lt;b&gt; %s javascript:alert(1)",
    "right-to-left": "נסיון \u202egnp.exe\u202c مهمة طويلة",
    "emoji": "👩🏽‍💻🚀 e\u0301 Z͑ͫ̓ͪ̂ͫ̽͏̴̙ ﷽",
    "one long word": "W" * 200,
    "wide": "部署" * 100,
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS.keys())
def test_hostile_words_stay_text_everywhere_and_break_no_layout(words: str, backend: BackendProcess, open_page: Open) -> None:
    words = one_line(words)  # as the backend takes them in
    key = uuid.uuid4().hex[:8]
    title = f"{key} {words}"[:200]
    task = backend.create(title, words, summary=words, metadata={"note": words, words[:60]: "x"})
    task.step(1, "running", words)
    task.request_stop(reason=words, requested_by=words[:100])

    page = open_page(f"{backend.url}/?q={key}")
    expect(page.locator(".row .title")).to_have_text([title])
    expect(page.locator(".row .summary")).to_have_text(words)
    assert fits(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert fits(page)

    page.locator(".row .title").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(".step-title")).to_have_text(words)
    expect(page.locator(".step-summary")).to_have_text(words)
    expect(page.locator(".event-summary").first).to_have_text(words)
    expect(page.locator(".receipts")).to_contain_text(words)
    assert fits(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    assert fits(page)

    assert page.locator("main img, main script, main iframe").count() == 0
    assert page.evaluate("window.hacked") is None


def test_hostile_words_stay_text_in_the_stop_dialog(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create(WORDS["markup"], "Only")
    page = open_page(backend.url + task.path)
    page.get_by_role("button", name="Stop task").click()
    expect(page.locator(".dialog-task")).to_have_text(WORDS["markup"])
    assert page.evaluate("window.hacked") is None


def fits(page: Page) -> bool:
    """Whether the page needs no horizontal scrolling."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))

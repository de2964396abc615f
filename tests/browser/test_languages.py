"""English and 简体中文."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

Open = Callable[..., Page]


def test_every_language_has_every_text_with_the_same_places(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url)
    texts = page.evaluate("async () => (await import('/static/texts/texts.js')).TEXTS")
    assert set(texts) == {"en", "zh-CN"}

    def shape(value: object) -> list[str]:
        forms = value if isinstance(value, list) else [value]
        return sorted({part.split("}")[0] for form in forms for part in str(form).split("{")[1:]})

    shapes = {tag: {key: shape(value) for key, value in entries.items()} for tag, entries in texts.items()}
    assert shapes["en"] == shapes["zh-CN"]
    assert all(str(value).strip() for entries in texts.values() for value in entries.values())


def test_the_browser_s_language_is_used_and_another_choice_is_remembered(backend: BackendProcess, open_page: Open) -> None:
    task = backend.create("双语任务", "唯一一步")
    task.beat()
    page = open_page(backend.url + task.path, locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("button", name="停止任务：双语任务")).to_be_visible()
    expect(page.get_by_role("heading", name="心跳")).to_be_visible()
    expect(page.locator(".task-facts .badge")).to_have_text("工作中")

    page.get_by_label("语言").select_option("en")
    expect(page.get_by_role("button", name="Stop task: 双语任务")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.get_by_role("heading", name="Heartbeats")).to_be_visible()
    page.get_by_label("Language").select_option("zh-CN")
    page.get_by_role("link", name="全部任务").click()
    expect(page.get_by_role("searchbox", name="搜索任务")).to_be_visible()


def test_a_language_that_the_page_does_not_speak_gets_english(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url, locale="fi-FI")
    expect(page.get_by_role("searchbox", name="Search tasks")).to_be_visible()

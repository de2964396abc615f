"""A real Chromium, a real backend, and pages on it that fail a test when they complain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from support.backend_process import BackendProcess
from support.chromium import CHROMIUM, launch_options
from support.engines import ENGINES_AT_LENGTH, database_on

# Generous, for machines that do much else at the same time; no test waits this long where the page does as it should.
expect.set_options(timeout=15_000)

# A page whose server is taken away says so in the console; that is the browser's own message, not the page's.
_TOLERATED = ("net::ERR_", "Failed to load resource")


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the browser, keep it in one worker (one Chromium is enough), and skip it where there is none."""
    folder = Path(__file__).parent
    for item in items:
        if folder not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.xdist_group("browser"))
        if CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="no chromium on PATH (Debian: apt-get install chromium)"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for this folder. Not for the session: beside Playwright's event loop no asyncio test can run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=ENGINES_AT_LENGTH)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """One backend for the tests that do not mind each other's tasks."""
    folder = tmp_path_factory.mktemp("backend")
    with database_on(getattr(request, "param", "sqlite"), request, folder) as database:
        process = BackendProcess(folder, database=database)
        process.start()
        yield process
        process.stop()


@pytest.fixture(params=ENGINES_AT_LENGTH)
def own_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., BackendProcess]]:
    """Starts a backend for one test alone."""
    started = []
    with database_on(getattr(request, "param", "sqlite"), request, tmp_path) as database:

        def start(**options: Any) -> BackendProcess:
            process = BackendProcess(tmp_path, database=database, **options)
            started.append(process)
            process.start()
            return process

        yield start
        for process in started:
            process.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a profile of its own; the test fails if the page threw, broke its CSP, or wanted another server."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(text in message.text for text in _TOLERATED):
            complaints.append(message.text)

    def open_it(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on(
            "request", lambda request: None if request.url.startswith((url[:17], "data:")) else complaints.append(request.url)
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []

"""The page and its server: a restart under an open page, and silence that is not blamed on the tasks."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable

from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess

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
    backend.start()
    backend.create("After the restart", "Only")
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
    page.reload()
    expect(page.locator(".row .badge")).to_have_text("Working")
    backend.stop()
    expect(page.locator(".connection")).not_to_have_text("Live")
    page.clock.run_for(300_000)
    expect(page.locator(".connection")).to_have_text("Disconnected")
    expect(page.locator(".row .badge")).to_have_text("Working")
    expect(page.get_by_text("The server cannot be reached. This page shows the state of 5 min ago.")).to_be_visible()
    expect(page).to_have_title("⚠ 1 in progress · ClawLog")

    backend.start()
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator(".connection")).to_have_text("Live")


def open_streams(backend: BackendProcess) -> int:
    with urllib.request.urlopen(f"{backend.url}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("clawlog_backend_streams "))))


def test_a_tab_out_of_sight_gives_its_connection_back_and_stays_informed(
    own_backend: Callable[..., BackendProcess], open_page: Open
) -> None:
    backend = own_backend()
    page = open_page(backend.url)
    page.clock.install()
    page.reload()
    expect(page).to_have_title("0 in progress · ClawLog")
    eventually(lambda: open_streams(backend) == 1)

    page.evaluate("""() => {
        Object.defineProperty(document, "visibilityState", { get: () => window.sight ?? "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.clock.run_for(61_000)
    eventually(lambda: open_streams(backend) == 0)
    backend.create("Meanwhile", "Only")
    page.clock.run_for(60_000)
    expect(page).to_have_title(re.compile("1 in progress"))

    page.evaluate("""() => {
        window.sight = "visible";
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    eventually(lambda: open_streams(backend) == 1)
    backend.create("In sight again", "Only")
    expect(page.locator(".row .title")).to_have_text(["In sight again", "Meanwhile"])


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_task_is_in_one_state(backend: BackendProcess, open_page: Open) -> None:
    page = open_page(backend.url)
    states = page.evaluate("""async () => {
        const { stateOf, needsAttention } = await import("/static/api/states.js");
        const stop = { requestedAt: 0, acknowledgedAt: null };
        const at = (status, liveness, others = {}) => {
            const task = { status, endedAt: null, stop: null, attention: null, liveness: { state: liveness }, ...others };
            return [stateOf(task), needsAttention(task, 121_000)];
        };
        return [
            at("pending", "unknown"), at("running", "alive"), at("running", "quiet"),
            at("stale", "quiet"), at("running", "stalled"),
            at("waiting", "waiting"), at("running", "alive", { stop }), at("stale", "lost", { stop }),
            at("failed", "ended", { endedAt: 1, attention: { reason: "failed", acknowledgedAt: null } }),
            at("failed", "ended", { endedAt: 1, attention: { reason: "failed", acknowledgedAt: 5 } }),
        ];
    }""")
    assert states == [
        ["running", False],
        ["running", False],
        ["stale", True],
        ["stale", True],
        ["stale", True],
        ["waiting", False],
        ["stopping", True],
        ["lost", False],
        ["failed", True],
        ["failed", False],
    ]

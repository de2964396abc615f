"""Nothing but the real parts: an agent's scripts, the sidecar, the backend, and a person before the dashboard."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.backend_process import BackendProcess
from support.daemon_process import LIMIT_S, environment

Open = Callable[..., Page]

SCRIPTS = Path(__file__).parents[2] / "scripts"
STOPPED = 20


@pytest.fixture
def agent_env(folder: Path, backend: BackendProcess) -> Iterator[dict[str, str]]:
    """The environment of an agent beside whom a clawlogd runs that reports to the backend."""
    path = folder / "d.sock"
    env = environment(folder, CLAWLOG_SOCKET=str(path), CLAWLOG_BASE_URL=backend.url, CLAWLOG_AUTOSTART="0")
    with (folder / "clawlogd.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "clawlogd"], env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not serves(path):
            assert process.poll() is None, (folder / "clawlogd.log").read_text()
            assert time.monotonic() < deadline, "the daemon did not start"
            time.sleep(0.02)
        yield env
    finally:
        process.terminate()
        assert process.wait(LIMIT_S) == 0


def serves(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_stop_pressed_in_the_page_reaches_the_agents_script_and_its_ack_comes_back(
    agent_env: dict[str, str], backend: BackendProcess, open_page: Open
) -> None:
    def script(name: str, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *arguments]
        ran = subprocess.run(command, env=agent_env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert ran.returncode == status, ran.stderr
        return ran.stdout

    page = open_page(backend.url)
    expect(page.locator(".connection")).to_have_text("Live")
    page.evaluate("window.wasNotReloaded = true")

    title = f"Rollout 发布 {os.getpid()}"
    created = script(
        "create_task", "--base-url", backend.url, "--title", title, "--step", "Check", "--step", "Configure", "--step", "Start",
        "--watch-pid", str(os.getpid()),
    )  # fmt: skip
    task_id = json.loads(created)["task_id"]

    def update(*arguments: str, status: int = 0) -> str:
        return script("update_status", "--task-id", task_id, *arguments, status=status)

    row = page.locator(".row").filter(has=page.get_by_role("link", name=title, exact=True))
    expect(row.locator(".badge")).to_have_text("Working")
    update("--step-id", "1", "--step-status", "done")
    update("--step-id", "Configure", "--step-status", "running", "--step-summary", "writing the template")
    expect(row.get_by_role("img", name="1 of 3 steps")).to_be_visible()
    expect(row.locator(".summary")).to_have_text("writing the template")
    expect(row.locator(".evidence")).to_have_text(re.compile(r"last report \d+ s ago"))
    update("--check-interrupt")

    row.get_by_role("button", name=f"Stop task: {title}").click()
    page.get_by_label("Reason").fill("wrong host")
    page.get_by_role("button", name="Ask it to stop").click()

    def reached(stage: str) -> None:
        shown = page.locator(f".receipts .stage[data-stage={stage}]")
        expect(shown).to_have_attribute("data-reached", "")
        if stage != "requested":
            expect(shown).to_have_text(re.compile(r"after [\d.]+ (ms|s)$"))

    reached("requested")
    reached("seen")  # by the sidecar, unasked
    expect(page.locator(".task-facts .badge")).to_have_text("Stopping")
    update("--check-interrupt", status=STOPPED)
    reached("delivered")
    update("--step-id", "2", "--step-status", "skipped", "--ack-interrupt", "--ack-summary", "left everything as it was")
    reached("acknowledged")
    expect(page.locator(".receipts")).to_contain_text("left everything as it was")
    expect(page.locator(".task-facts .badge")).to_have_text("Stopped")
    assert page.evaluate("window.wasNotReloaded") is True

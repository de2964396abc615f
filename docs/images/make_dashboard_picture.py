"""Takes the pictures of the dashboard that the documents show: `python docs/images/make_dashboard_picture.py`.

Starts backends on temporary state, sends one a crowd of sixty tasks and one what agents and their sidecars would have sent over
the last half hour, and photographs the real pages in a real Chromium. Nothing on the pictures is drawn by hand.
"""

# ruff: noqa: INP001, T201 -- a program, run in place, that prints what it made

from __future__ import annotations

import random
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from support import crowd  # noqa: E402 - the tests know what a crowd is
from support.backend_process import BackendProcess, ago  # noqa: E402 - the tests know how to start a backend
from support.chromium import CHROMIUM, launch_options  # noqa: E402 - found by the line above

MINUTE_S = 60
BEAT_S = 15


class Picture(NamedTuple):
    """One file: which page, how wide, in which colours."""

    file: str
    task: str | None
    width: int = 1440
    height: int = 900
    scheme: str = "light"
    locale: str = "en-US"


PICTURES = (
    Picture("dashboard.png", None),
    Picture("dashboard-task.png", "orders"),
    Picture("dashboard-dark.png", None, scheme="dark", locale="zh-CN"),
    Picture("dashboard-phone.png", None, width=390, height=844),
)


class Story(NamedTuple):
    """What became of one task. Times are in minutes before now; a step still running has no end."""

    key: str
    title: str
    steps: tuple[tuple[str, str, float | None, float | None, str], ...]
    silent_for_s: float = 3
    reported_ago_s: float = 6
    gap: tuple[float, float] | None = None
    lost: str | None = None
    stop: tuple[str, str, int] | None = None  # reason, who, how many receipts
    pid: int = 4242
    asks: tuple[float, str] | None = None
    measure: tuple[int, int, str] | None = None  # of the step that runs

    @property
    def begin(self) -> float:
        """How many minutes ago the first step began."""
        return max(start for _, _, start, _, _ in self.steps if start is not None)

    @property
    def end(self) -> float:
        """How many minutes ago the last sign came: the end, or the last heartbeat."""
        ends = [end for _, _, _, end, _ in self.steps if end is not None]
        if self.has_failed or len(ends) == len(self.steps):
            return min(ends)
        return self.silent_for_s / MINUTE_S

    @property
    def has_failed(self) -> bool:
        """Whether one of its steps did."""
        return any(status == "failed" for _, status, _, _, _ in self.steps)


STORIES = (
    Story(
        "orders",
        "Migrate the orders table to partitions",
        (
            ("Take a backup", "done", 27, 22, "41 GB in 5 min, checksum verified"),
            ("Create the partitions", "done", 22, 20.5, "48 monthly partitions"),
            ("Copy the rows", "running", 20.5, None, "31 of 48 partitions, 212 M rows"),
            ("Compare the counts", "pending", None, None, ""),
            ("Switch over", "pending", None, None, ""),
        ),
        gap=(13, 10.5),
        stop=("The read replica is falling behind, please pause", "Mei", 2),
        pid=3377,
    ),
    Story(
        "nginx",
        "部署 Nginx 服务",
        (
            ("检查本地环境", "done", 6, 5, "端口 80 和 443 空闲"),
            ("编写配置文件", "done", 5, 2, "nginx.conf 已生成并通过校验"),
            ("启动并测试", "running", 2, None, "等待健康检查"),
        ),
        pid=5127,
    ),
    Story(
        "payments",
        "Refactor the payment client",
        (
            ("Read the call sites", "done", 18, 14, "23 call sites in 9 modules"),
            ("Introduce the new interface", "done", 14, 8, "tests green"),
            ("Move the callers", "running", 8, None, "14 of 23 moved, tests green"),
            ("Delete the old client", "pending", None, None, ""),
        ),
        pid=2014,
        asks=(4, "delete the old client, or keep it deprecated for one release?"),
    ),
    Story(
        "ranking",
        "Train the ranking model",
        (
            ("Prepare the data", "done", 29, 21, "3.2 M pairs"),
            ("Train", "running", 21, None, "epoch 4 of 10, loss 0.312"),
            ("Evaluate", "pending", None, None, ""),
        ),
        reported_ago_s=13 * MINUTE_S,
        pid=1803,
    ),
    Story(
        "flaky",
        "Find the cause of the flaky checkout test",
        (
            ("Reproduce it", "done", 25, 16, "fails in 3 of 200 runs"),
            ("Bisect", "running", 16, None, "6 commits left"),
            ("Write the fix", "pending", None, None, ""),
        ),
        silent_for_s=4 * MINUTE_S,
        reported_ago_s=5 * MINUTE_S,
        lost="process 4242 ended without finishing its task",
    ),
    Story(
        "links",
        "Check the links in the documentation",
        (("Collect the pages", "done", 3, 2.5, "1,204 pages"), ("Follow the links", "running", 2.5, None, "docs/guide.html")),
        pid=5192,
        measure=(612, 4880, "links"),
    ),
    Story(
        "import",
        "Import the supplier catalogue",
        (
            ("Download", "done", 24, 22, "1.1 GB"),
            ("Validate", "failed", 22, 19, "row 80,311: price is negative"),
            ("Load", "pending", None, None, ""),
        ),
    ),
    Story(
        "upgrade",
        "Upgrade the build images",
        (
            ("Change the base image", "done", 28, 24, ""),
            ("Rebuild", "done", 24, 12, "11 images"),
            ("Publish", "done", 12, 11, ""),
        ),
    ),
    Story(
        "index",
        "Rebuild the search index",
        (("Export", "done", 29, 26, ""), ("Index", "done", 26, 15, "2.4 M documents"), ("Swap", "done", 15, 15, "no downtime")),
    ),
)


def events_of(story: Story, chance: random.Random) -> Iterator[dict[str, Any]]:
    """What agent and sidecar would have sent, with the minutes before now."""
    begin = (
        max(start for _, _, start, _, _ in story.steps if start is not None) if story.steps[0][2] is None else story.steps[0][2]
    )
    ids = [f"{story.key}-{position}" for position in range(1, len(story.steps) + 1)]
    steps = [{"step_id": step_id, "title": step[0]} for step_id, step in zip(ids, story.steps, strict=True)]
    metadata = {"repository": "shop", "host": "build-7"}
    timed: list[tuple[float, dict[str, Any]]] = [
        (begin, {"kind": "task_created", "title": story.title, "steps": steps, "metadata": metadata})
    ]
    for step_id, (_, status, start, end, summary) in zip(ids, story.steps, strict=True):
        changes = ((start, "running"), (end, status))
        for minutes, reached in changes:
            if minutes is None:
                continue
            told = {"kind": "step_status", "step_id": step_id, "status": reached, "summary": summary}
            if story.measure is not None and status == reached == "running":
                told["progress"] = dict(zip(("done", "total", "unit"), story.measure, strict=True))
            timed.append((minutes, told))
    minutes = begin - 0.1
    while minutes >= story.end:
        if story.gap is None or not story.gap[1] < minutes < story.gap[0]:
            reported_s = max(story.reported_ago_s, minutes * MINUTE_S + chance.uniform(0, 40))
            stalled = reported_s - minutes * MINUTE_S > 10 * MINUTE_S
            beat = {"kind": "heartbeat", "agent_seen_at": ago(min(reported_s, begin * MINUTE_S)), "evidence": "process"}
            timed.append((minutes, {**beat, "stalled": stalled, "pid": story.pid}))
        minutes -= BEAT_S / MINUTE_S
    if story.lost is not None:
        timed.append((story.end - 0.2, {"kind": "agent_lost", "summary": story.lost}))
    if story.asks is not None:
        timed.append((story.asks[0], {"kind": "task_status", "status": "waiting", "summary": story.asks[1]}))
    if story.has_failed:
        timed.append((story.end, {"kind": "task_status", "status": "failed"}))
    timed.sort(key=lambda pair: -pair[0])
    for minutes, event in timed:
        yield {"event_id": str(uuid.uuid4()), "task_id": story.key, "at": ago(minutes * MINUTE_S), **event}


def send(backend: BackendProcess, stories: tuple[Story, ...]) -> None:
    """Send all stories, then ask for the stops that belong to them."""
    chance = random.Random(7)  # noqa: S311 - a picture that comes out the same each time
    for story in sorted(stories, key=lambda each: -each.begin):
        backend.send(*events_of(story, chance))
    for story in stories:
        if story.stop is None:
            continue
        reason, who, receipts = story.stop
        path = f"/api/tasks/{story.key}"
        backend.call("POST", f"{path}/interrupt", {"mode": "soft_stop", "reason": reason, "requested_by": who})
        interrupt_id = backend.call("GET", f"{path}/control")["interrupt_id"]
        for kind in ("interrupt_seen", "interrupt_delivered", "interrupt_ack")[: receipts - 1]:
            backend.send({"kind": kind, "task_id": story.key, "interrupt_id": interrupt_id})


def photograph(browser: Browser, backend: BackendProcess, picture: Picture) -> None:
    """Take one picture."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,  # type: ignore[arg-type]
        locale=picture.locale,
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(backend.url + ("/" if picture.task is None else f"/tasks/{picture.task}"))
    page.locator(".row, .strip-beat").first.wait_for()
    page.locator(".connection[data-state=live]").wait_for()
    if picture.task is None:
        page.locator(".filter[data-filter=all]").get_by_text(str(crowd.SIXTY.total)).wait_for()
    page.screenshot(path=HERE / picture.file)
    context.close()
    print(f"{picture.file}: {(HERE / picture.file).stat().st_size // 1024} KiB")


def main() -> int:
    """Take all pictures."""
    if CHROMIUM is None:
        print("no chromium on PATH (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        for fill, is_list in ((crowd.send, True), (lambda backend: send(backend, STORIES), False)):
            backend = BackendProcess(Path(tempfile.mkdtemp(dir=folder)))
            backend.start()
            try:
                fill(backend)
                for picture in PICTURES:
                    if (picture.task is None) is is_list:
                        photograph(browser, backend, picture)
            finally:
                backend.stop()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the dashboard costs a reader, in Chromium: today's page against that of :data:`BEFORE`, in one run on the same tasks.

Rows on the first screen, the time to the first row, bytes until the page is quiet and over an hour open (counted on the
wire, by a relay between browser and backend), frames while 1,000 updates a second arrive and while somebody scrolls fast.
``CLAWLOG_BENCH_PART`` over 1 measures of the page before only what is held against it: the time to the first row.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.figures import PART, Figure

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support import crowd  # noqa: E402 - the tests know what a crowd is
from support.backend_process import BackendProcess, ago  # noqa: E402 - and how to start a backend
from support.chromium import CHROMIUM, launch_options  # noqa: E402 - and a browser

BEFORE = "f9a3b36"
TASKS, LIVE = 5_000, 700
BEAT_EVERY_S = 15.0
MOVES_PER_HOUR = 12  # how often a live task's steps move on
OPEN_S = 60.0 if PART == 1 else 15.0  # whole rounds of beats
UPDATES_PER_S, UPDATING_S = 1_000, 10.0 if PART == 1 else 5.0
QUIET_S = 4.0
VIEWPORT: Any = {"width": 1440, "height": 900}

_IN_VIEW = """() => [...document.querySelectorAll('.row')].filter((row) => {
    const { top, bottom } = row.getBoundingClientRect();
    return row.checkVisibility() && top >= 0 && bottom <= innerHeight;
}).length"""
_RECORD = """() => {
    window.frames_ms = [];
    let last = performance.now();
    const note = (now) => { window.frames_ms.push(now - last); last = now; window.frame = requestAnimationFrame(note); };
    window.frame = requestAnimationFrame(note);
}"""
_SCROLL = """(frames) => new Promise((resolve) => {
    const times = [];
    let last = null;
    const step = (now) => {
        if (last !== null) times.push(now - last);
        last = now;
        if (times.length >= frames) return resolve(times);
        window.scrollBy(0, 400);
        if (window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 10) window.scrollTo(0, 0);
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


class Relay:
    """Passes bytes between browser and backend, and counts what the browser gets."""

    def __init__(self, port: int) -> None:
        self.received = 0
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more; what is open ends with the browser's page."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listening.accept()
                backend = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._pass, args=(browser, backend, 0), daemon=True).start()
                threading.Thread(target=self._pass, args=(backend, browser, 1), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self.received += counted * len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


def measure(browser: Browser, source: Path | None) -> dict[str, float]:
    """All figures of one version: of this tree, or of one whose packages lie in ``source``."""
    found: dict[str, float] = {}
    with _backend(source) as backend:
        crowd.send(backend)
        with _page(browser, backend) as (page, _, _):
            page.wait_for_timeout(1_000)
            found["rows"] = page.evaluate(_IN_VIEW)
    with _backend(source) as backend:
        crowd.send(backend, crowd.large(TASKS, LIVE))
        live = [f"working-{n}" for n in range(LIVE - 10)]
        _beat(backend, live)
        with _page(browser, backend) as (page, relay, first_row_ms):
            found["first row"] = first_row_ms
            if PART > 1 and source is not None:
                return found
            found["load"] = _until_quiet(relay) / 1e6
            found["hour"] = _open(backend, relay, live) * 3600 / OPEN_S / 1e6
            found["updates"] = _under_updates(backend, page, live)
            found["scroll"] = statistics.median(page.evaluate(_SCROLL, 150))
    return found


@contextlib.contextmanager
def _backend(source: Path | None) -> Iterator[BackendProcess]:
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as folder:
        backend = BackendProcess(Path(folder))
        if source is not None:
            os.environ["PYTHONPATH"] = str(source)
        try:
            backend.start()
        finally:
            os.environ.pop("PYTHONPATH", None)
            if before is not None:
                os.environ["PYTHONPATH"] = before
        try:
            yield backend
        finally:
            backend.stop()


@contextlib.contextmanager
def _page(browser: Browser, backend: BackendProcess) -> Iterator[tuple[Page, Relay, float]]:
    relay = Relay(backend.port)
    context = browser.new_context(viewport=VIEWPORT, locale="en-US")
    try:
        page = context.new_page()
        started = time.monotonic()
        page.goto(relay.url)
        page.locator(".row").first.wait_for(timeout=60_000)
        yield page, relay, (time.monotonic() - started) * 1000
    finally:
        context.close()
        relay.close()


def _beat(backend: BackendProcess, task_ids: list[str]) -> None:
    said = {"kind": "heartbeat", "evidence": "process", "pid": 4242, "agent_seen_at": ago(2)}
    backend.send(*({**said, "task_id": task_id} for task_id in task_ids))


def _move(backend: BackendProcess, task_ids: list[str], status: str) -> None:
    backend.send(*({"kind": "step_status", "task_id": each, "step_id": f"{each}-0", "status": status} for each in task_ids))


def _until_quiet(relay: Relay) -> float:
    """How much came until little came any more."""
    quiet_since, before = time.monotonic(), relay.received
    while time.monotonic() - quiet_since < QUIET_S:
        time.sleep(0.2)
        if relay.received - before > 20_000:
            quiet_since, before = time.monotonic(), relay.received
    return float(relay.received)


def _open(backend: BackendProcess, relay: Relay, live: list[str]) -> float:
    """How much comes to a page that stays open while its tasks live and move on, each at its own time."""
    before, begun = relay.received, time.monotonic()
    for second in range(int(BEAT_EVERY_S + OPEN_S)):
        if second == BEAT_EVERY_S:  # from here on each has shown that it lives
            before = relay.received
        phase = second % int(BEAT_EVERY_S)
        _beat(backend, live[phase :: int(BEAT_EVERY_S)])
        moving = int(len(live) * MOVES_PER_HOUR / 3600 * (second + 1)) - int(len(live) * MOVES_PER_HOUR / 3600 * second)
        if moving:
            _move(backend, [live[(second * 7 + k) % len(live)] for k in range(moving)], ("done", "running")[second % 2])
        time.sleep(max(0.0, begun + second + 1 - time.monotonic()))
    return float(relay.received - before)


def _under_updates(backend: BackendProcess, page: Page, live: list[str]) -> float:
    """The 95th percentile of a frame, in milliseconds, while updates arrive."""
    at_once = UPDATES_PER_S // 10
    done = threading.Event()

    def feed() -> None:
        begun, n = time.monotonic(), 0
        while not done.is_set():
            _move(backend, [live[(n * at_once + k) % len(live)] for k in range(at_once)], ("done", "running")[n % 2])
            n += 1
            time.sleep(max(0.0, begun + n / 10 - time.monotonic()))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        page.wait_for_timeout(1_000)
        page.evaluate(_RECORD)
        page.wait_for_timeout(UPDATING_S * 1000)
        frames = page.evaluate("() => { cancelAnimationFrame(window.frame); return window.frames_ms.slice(1); }")
    finally:
        done.set()
        feeder.join()
    return statistics.quantiles(frames, n=20)[-1]


def run() -> list[Figure]:
    """The figures, each with what it was before."""
    if CHROMIUM is None:
        raise RuntimeError("no chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(**launch_options())
        before = measure(browser, Path(folder)) if _unpack(BEFORE, Path(folder)) else {}
        now = measure(browser, None)
        browser.close()

    def figure(key: str, name: str, target: float, unit: str, sense: Any = "<=") -> Figure:
        detail = f"{before[key]:.2f} {unit} at {BEFORE}" if key in before else ""
        return Figure(name, now[key], target, sense, unit, detail=detail)

    crowd_of = f"{TASKS:,} tasks, {LIVE} live"
    return [
        figure("rows", "dashboard: rows on the first screen of 60 tasks, 1440 × 900", 20, "rows", ">="),
        *([_first_row(now["first row"], before["first row"], crowd_of)] if before else []),
        figure("load", f"dashboard: until it is quiet, {crowd_of}", 0.5, "MB"),
        figure("hour", f"dashboard: an hour open, {crowd_of}", 30, "MB"),
        figure("updates", f"dashboard: p95 frame at {UPDATES_PER_S:,} updates/s", 33, "ms"),
        figure("scroll", "dashboard: p50 frame of a fast scroll, 400 pixels a frame", 25, "ms"),
    ]


def _first_row(now_ms: float, before_ms: float, crowd_of: str) -> Figure:
    detail = f"{now_ms:.0f} ms, {before_ms:.0f} ms at {BEFORE}"
    return Figure(f"dashboard: first row, {crowd_of}", now_ms / before_ms, 1.2, "<=", detail=detail)


def _unpack(commit: str, folder: Path) -> bool:
    """Lay the backend of a commit into a folder; whether there is one."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", f"{commit}:backend"], capture_output=True, check=False)
    if packed.returncode != 0:
        return False
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return True

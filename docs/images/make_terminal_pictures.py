"""Takes the pictures of the terminal that the documents show: `python docs/images/make_terminal_pictures.py`.

Starts a backend and a daemon on temporary state, reports tasks in every state through the client, runs the real commands in a
real terminal (tmux), and draws what stands on its screen as SVG. With a folder as its argument it writes every screen there
instead, at 80, 120 and 200 columns and as text, too: to be looked at.
"""

# ruff: noqa: INP001, T201 -- a program, run in place, that prints what it made

from __future__ import annotations

import html
import io
import itertools
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from support.installation import Installation, temporary_installation, wait_until  # noqa: E402 - the tests know how to start all there is

# rich's own, but for its fonts: those would be fetched from elsewhere.
SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


TEXT = re.compile(
    r'<text class="(?P<style>terminal-r\d+)" x="(?P<x>[\d.]+)" (?P<y>y="[\d.]+") '
    r'textLength="[\d.]+" (?P<clip>[^>]*)>(?P<content>[^<]*)</text>'
)
CELL = 12.2
"""The width of a cell, as rich draws it."""


class Screen(NamedTuple):
    """A command's screen: when it is whole, and how high the terminal is."""

    name: str
    arguments: tuple[str, ...]
    shows: str
    rows: int


PICTURES = {"clawlog-top.svg": ("top", 100), "clawlog-status.svg": ("status-in-an-outage", 100)}
"""The pictures in the documents: of which screen, and at how many columns."""


def tell(installation: Installation) -> str:
    """Brings tasks into every state; returns the id of the one to look at closely."""
    agent = installation.start("sleep", "600").pid
    silent = installation.start("sleep", "600").pid
    gone = installation.start("sleep", "600")
    with installation.client() as client:
        done = client.create_task("Nightly backup of the orders database", ["dump", "encrypt", "upload"], watch_pid=agent)
        for step in (1, 2, 3):
            client.update_step(done.task_id, step, "done")
        client.update_task(done.task_id, "done", summary="14.2 GB in 11 parts")
        failed = client.create_task("Übersetzung der Handbücher", ["Texte holen", "übersetzen"], watch_pid=agent)
        client.update_step(failed.task_id, 1, "done")
        client.update_step(failed.task_id, 2, "failed", summary="the glossary has no entry for 'Sperrfrist'")
        client.update_task(failed.task_id, "failed", summary="1 of 2 steps done")
        stalled = client.create_task("Reindex the product search", ["export", "build", "swap"], watch_pid=silent)
        client.update_step(stalled.task_id, 2, "running", summary="shard 7 of 12")
        lost = client.create_task("Crawl the supplier catalogue", ["fetch", "merge"], watch_pid=gone.pid)
        client.update_step(lost.task_id, 1, "running", summary="2,310 of 9,800 pages")
        stopping = client.create_task("データ移行 2019–2024", ["読み込み", "変換", "検証"], watch_pid=agent)
        client.update_step(stopping.task_id, 1, "done")
        client.update_step(stopping.task_id, 2, "running", summary="1,204 of 3,000 tables")
        client.flush()
        installation.backend.request_stop(stopping.task_id, reason="wrong source cluster", requested_by="mei")
        client.check_interrupt(stopping.task_id, wait_s=10)
        installation.end(gone)
        wait_until(lambda: client.get_task(lost.task_id)["liveness"]["state"] == "lost", "the agent is lost")
        wait_until(lambda: client.get_task(stalled.task_id)["liveness"]["state"] == "stalled", "the agent is stalled")
        asks = client.create_task("Migrate the orders table", ["copy", "compare", "swap"], watch_pid=agent)
        client.update_step(asks.task_id, 1, "done")
        client.update_step(asks.task_id, 2, "running")
        client.update_task(asks.task_id, "waiting", summary='drop the column "legacy_total"?')
        running = client.create_task("部署 Nginx 服务", ["检查本地环境", "编写配置文件", "启动并测试"], watch_pid=agent)
        client.update_step(running.task_id, 1, "done", summary="Debian 12, nginx 1.22 is there")
        client.update_step(running.task_id, 2, "running", summary="writing the config template")
        client.flush()
        return stopping.task_id


@contextmanager
def terminal(installation: Installation, arguments: tuple[str, ...], columns: int, rows: int) -> Iterator[list[str]]:
    """The command in a terminal; gives what reads its screen, as a command line."""
    tmux = ["tmux", "-L", f"clawlog-{uuid.uuid4()}", "-f", "/dev/null"]
    env = {**installation.env, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    program = [sys.executable, "-c", "from clawlog.cli.entry import main; main()", *arguments]
    start = ["new-session", "-d", "-s", "it", "-x", str(columns), "-y", str(rows), *program]
    keep = ["set-option", "-g", "remain-on-exit", "on", ";", "set-option", "-g", "remain-on-exit-format", "", ";"]
    keep += ["set-option", "-g", "status", "off", ";"]
    subprocess.run([*tmux, "start-server", ";", *keep, *start], env=env, check=True)
    try:
        yield [*tmux, "capture-pane", "-t", "it", "-p"]
    finally:
        subprocess.run([*tmux, "kill-server"], env=env, check=False)


def screen_of(installation: Installation, screen: Screen, columns: int) -> str:
    """What stands on the screen, with its colours."""
    with terminal(installation, screen.arguments, columns, screen.rows) as capture:

        def whole() -> bool:
            return screen.shows in subprocess.run(capture, capture_output=True, text=True, check=True).stdout

        wait_until(whole, f"{screen.name} shows {screen.shows!r}")
        time.sleep(0.3)  # a picture, and no test: the rest of what was written at once
        return subprocess.run([*capture, "-e"], capture_output=True, text=True, check=True).stdout.rstrip("\n")


def svg(shown: str, columns: int, title: str) -> str:
    """A screen as a picture."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for line in AnsiDecoder().decode(shown):
        console.print(line, no_wrap=True, crop=True)
    drawn = console.export_svg(title=title, theme=MONOKAI, code_format=SVG, unique_id="terminal")
    return TEXT.sub(_in_its_cells, drawn)


def _in_its_cells(text: re.Match[str]) -> str:
    """Where rich gives each character one cell's width, those that take two are drawn by themselves."""
    x, drawn = float(text["x"]), []
    for _, characters in itertools.groupby(html.unescape(text["content"]), cell_len):
        run = "".join(characters)
        width = cell_len(run) * CELL
        shown = html.escape(run).replace(" ", "\N{NO-BREAK SPACE}")
        drawn.append(
            f'<text class="{text["style"]}" x="{x:.1f}" {text["y"]} textLength="{width:.1f}" {text["clip"]}>{shown}</text>'
        )
        x += width
    return "".join(drawn)


def main() -> None:
    """Takes them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with temporary_installation() as installation:
        installation.env["CLAWLOG_HEARTBEAT_STALL_AFTER_S"] = "10"
        backend = installation.start_backend()
        installation.start_daemon()
        looked_at = tell(installation)
        screens = [
            Screen("top", ("top", "--all"), "s stop", 30),
            Screen("status", ("status",), "BACKEND", 24),
            Screen("show", ("show", looked_at), "stop delivered", 40),
            Screen("tasks", ("tasks",), "Nightly", 24),
            Screen("watch", ("watch", looked_at), "stop delivered", 24),
            Screen("run", ("run", "--", "echo", "compiled 318 files"), "clawlog: task", 6),
            Screen("doctor", ("doctor",), "nothing is wrong", 24),
        ]
        for screen in screens:
            take(installation, screen, folder)
        installation.end(backend)
        with installation.client() as client:
            client.heartbeat(looked_at, summary="2,977 of 3,000 tables")
            client.update_step(looked_at, 2, "done")
            client.update_step(looked_at, 3, "running", summary="comparing row counts")
            wait_until(lambda: client.daemon_status()["problems"], "the outage is noticed")
        take(installation, Screen("status-in-an-outage", ("status",), "BACKEND", 24), folder)
        take(installation, Screen("doctor-in-an-outage", ("doctor",), "error", 24), folder)
        take(installation, Screen("top-in-an-outage", ("top",), "s stop", 24), folder)


def take(installation: Installation, screen: Screen, folder: Path | None) -> None:
    """Takes a screen: for the documents, or all widths of it for a folder."""
    wanted = [(HERE / name, columns) for name, (which, columns) in PICTURES.items() if which == screen.name]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [(folder / f"{screen.name}-{columns}.svg", columns) for columns in (80, 120, 200)]
    for path, columns in wanted:
        shown = screen_of(installation, screen, columns).replace(str(installation.folder), "~/.local/state/clawlog")
        path.write_text(svg(shown, columns, "clawlog " + screen.arguments[0]), encoding="utf-8")
        if folder is not None:
            path.with_suffix(".txt").write_text(Text.from_ansi(shown).plain + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()

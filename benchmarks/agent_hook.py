"""What the hook of coding agents costs an agent, as a whole process, against the least that any hook costs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, daemon, environment
from clawlog.agents import hook_files, hooks_folder

RUNS = 100
RARE_RUNS = 20
SETTLED_S = 0.3
"""How long a report in the background is given, so that it does not take the processor from the next call."""

SESSION = "5a3b5f0c-1d2e-4f5a-8b9c-0d1e2f3a4b5c"
TOOL = {
    "session_id": SESSION, "transcript_path": "/srv/user/.agent/projects/-home-user-project/session.jsonl",
    "cwd": "/srv/user/project", "permission_mode": "default", "hook_event_name": "PreToolUse", "tool_name": "Bash",
    "tool_input": {"command": "make test", "description": "Run the tests"},
}  # fmt: skip
LARGE = {**TOOL, "tool_input": {"content": 'a "line" of a file\n' * 50_000}}
PROMPT = {"session_id": SESSION, "cwd": "/srv/user/project", "prompt": "Run the tests"}


def run() -> list[Figure]:
    """Measures tool calls in turn with a process that does nothing, and rarer events one by one."""
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as folder:
        with daemon() as sidecar:
            hook = _install(Path(folder), sidecar.home)
            _call(hook, "UserPromptSubmit", PROMPT)
            signs = sidecar.home / "run" / "signs" / "claude-code" / SESSION
            _wait(signs.exists)
            figures = [
                _against("hook, tool call / true", hook, "PreToolUse", TOOL, ["/bin/true"], 5.0),
                _against("hook, tool call / sh -c :", hook, "PreToolUse", TOOL, ["/bin/sh", "-c", ":"], 4.5),
                _against("hook, tool call of a megabyte / sh -c :", hook, "PreToolUse", LARGE, ["/bin/sh", "-c", ":"], 12.0),
                _absolute("hook, tool call", hook, "PreToolUse", TOOL, 5.0, RUNS, 0.0),
                _absolute("hook, prompt: what it waits for", hook, "UserPromptSubmit", PROMPT, 30.0, RARE_RUNS, SETTLED_S),
            ]
        figures.append(_with_a_hung_daemon(Path(folder)))
    return figures


def _with_a_hung_daemon(folder: Path) -> Figure:
    """The first tool call of a session of which a hung daemon knows nothing: the one that tries to reach it."""
    state = folder / "hung"
    (state / "run").mkdir(parents=True, mode=0o700)
    hook = _install(folder, state)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state / "run" / "clawlogd.sock"))
        listener.listen(64)  # it accepts, and never reads
        calls = [{**TOOL, "session_id": f"session-{number}"} for number in range(RARE_RUNS)]
        took_ms = []
        for call in calls:
            took_ms.append(_call(hook, "PreToolUse", call) * 1000)
            time.sleep(SETTLED_S)
        _wait(lambda: not _are_reporting(state))  # they write into the folder, which goes next
    return Figure(
        "hook, a tool call with a hung daemon", statistics.median(took_ms), 50.0, "<=", "ms", min(took_ms), max(took_ms)
    )


def _install(folder: Path, state: Path) -> Callable[[], tuple[list[str], dict[str, str]]]:
    """Writes the hook's files; returns how it is called: command and environment."""
    env = environment(XDG_DATA_HOME=str(folder / state.name), CLAWLOG_STATE_DIR=str(state), CLAWLOG_AUTOSTART="0")
    for file in hook_files(env, str(state), sys.executable, str(ROOT / "client")):
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    return lambda: ([f"{hooks_folder(env)}/hook", "claude-code"], env)


def _against(name: str, hook: Callable[[], tuple[list[str], dict[str, str]]], event: str, payload: object,
             bare: list[str], target: float) -> Figure:  # fmt: skip
    ours, limit = [], []
    for _ in range(RUNS):
        ours.append(_call(hook, event, payload))
        limit.append(_time(bare, b"", dict(os.environ)))
    return ratio(name, ours, limit, target, "<=", f"{_ms(ours)} against {_ms(limit)}")


def _absolute(name: str, hook: Callable[[], tuple[list[str], dict[str, str]]], event: str, payload: object,
              target_ms: float, runs: int, pause_s: float) -> Figure:  # fmt: skip
    took_ms = []
    for _ in range(runs):
        took_ms.append(_call(hook, event, payload) * 1000)
        time.sleep(pause_s)
    return Figure(name, statistics.median(took_ms), target_ms, "<=", "ms", min(took_ms), max(took_ms))


def _call(hook: Callable[[], tuple[list[str], dict[str, str]]], event: str, payload: object) -> float:
    command, env = hook()
    return _time([*command, event], json.dumps(payload).encode(), env)


def _time(command: list[str], stdin: bytes, env: dict[str, str]) -> float:
    started = time.perf_counter()
    ended = subprocess.run(command, input=stdin, env=env, capture_output=True, check=True)
    took_s = time.perf_counter() - started
    assert not ended.stdout + ended.stderr
    return took_s


def _are_reporting(state: Path) -> bool:
    """Whether a hook that was called with this folder still reports in the background."""
    wanted = f"CLAWLOG_STATE_DIR={state}".encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in file.read_bytes().split(b"\0"):
                return True
    return False


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the daemon did not hear of the session, or a report does not end")
        time.sleep(0.01)


def _ms(values: list[float]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ms"

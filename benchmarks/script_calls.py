"""What a script call costs the agent, as a whole process, against Python's own start and against the direct way."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import urllib.request

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, Caller, backend, daemon, environment

sys.path.insert(0, str(ROOT / "tests"))  # which know where other Pythons are

from support import pythons

RUNS = 40
COMMANDS = {"status": 2.6, "status --json": 2.6, "tasks --json": 2.6, "--help": 2.0, "tasks": 9.0, "tasks --help": 7.0}
"""The commands that are asked often, and their targets: the last two load click, and the first of them rich."""


def run() -> list[Figure]:
    """Measures each call 40 times, in turn with a bare start."""
    with backend() as server, daemon(CLAWLOG_BASE_URL=server.address) as sidecar, Caller(sidecar.address) as caller:
        caller.call(commands.create("bench"))
        caller.call(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{}}')
        urllib.request.urlopen(f"{server.address}/api/tasks/bench").close()
        env = environment(CLAWLOG_STATE_DIR=str(sidecar.home), CLAWLOG_TASK_ID="bench")
        update = [sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "bench"]
        calls = {
            "heartbeat": [*update, "--heartbeat", "--heartbeat-summary", "writing config template"],
            "step update": [*update, "--step-id", "2", "--step-status", "running", "--step-summary", "starting"],
            "--check-interrupt": [*update, "--check-interrupt"],
        }
        create = [sys.executable, str(ROOT / "scripts" / "create_task.py"), "--base-url", server.address, "--title", "Deploy"]
        create += ["--step", "check", "--step", "write", "--step", "start"]
        direct = [sys.executable, str(ROOT / "benchmarks" / "direct_call.py"), "--base-url", server.address]
        direct += ["--task-id", "bench", "--heartbeat-summary", "writing config template"]
        bare = [sys.executable, "-c", "pass"]
        figures = []
        for name, command in calls.items():
            figures.append(_against(f"update_status.py {name} / bare python", command, bare, env, 1.25))
        figures.append(_against("create_task.py, 3 steps / bare python", create, bare, env, 1.4))
        program = [sys.executable, "-c", "from clawlog.cli.entry import main; main()"]
        for words, target in COMMANDS.items():
            figures.append(_against(f"clawlog {words} / bare python", [*program, *words.split()], bare, env, target))
        pressed = {"_CLAWLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clawlog show ", "COMP_CWORD": "2"}
        figures.append(_against("completion of a task in bash / bare python", program, bare, {**env, **pressed}, 2.5))
        for version, program in pythons.installed().items():
            if sys.version_info[:2] == tuple(map(int, version.split("."))):
                continue
            for name, command, limit in (
                ("update_status.py heartbeat", calls["heartbeat"], 1.25),
                ("create_task.py, 3 steps", create, 1.4),
            ):
                same = [program, *command[1:]]
                figures.append(_against(f"{name} / bare python {version}", same, [program, "-c", "pass"], env, limit))
        slower, ours = _pairs(direct, calls["heartbeat"], env)
        detail = f"{_ms(slower)} direct, {_ms(ours)} ours"
        figures.append(ratio("direct argparse + urllib / update_status.py heartbeat", slower, ours, 4.5, ">=", detail))
        return figures


def _against(name: str, command: list[str], bare: list[str], env: dict[str, str], target: float) -> Figure:
    ours, limit = _pairs(command, bare, env)
    return ratio(name, ours, limit, target, "<=", f"{_ms(ours)} against {_ms(limit)}")


def _pairs(first: list[str], second: list[str], env: dict[str, str]) -> tuple[list[float], list[float]]:
    for command in (first, second):
        _time(command, env)  # compiled and cached
    pairs = [(_time(first, env), _time(second, env)) for _ in range(RUNS)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _time(command: list[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    result = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took_s = time.perf_counter() - started
    if result.returncode:
        raise RuntimeError(
            f"{' '.join(map(os.path.basename, command[:2]))}: exit {result.returncode}: {result.stderr.decode()}"
        )
    return took_s


def _ms(values: list[float]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ms"

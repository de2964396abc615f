"""The scripts while the machine denies them something: a documented status and one line, whichever call fails."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.registry import fault, strace
from faults.rig import Rig
from support.failing_calls import ERRORS, Sweep

_SCRIPTS = Path(__file__).parents[3] / "scripts"
_PYTHON = os.path.realpath(sys.executable)  # not by name: a version manager's program in its place would make calls of its own
_STATUSES = {0, 20, 65, 69, 74, 75}
_TASK = ["--task-id", "t"]
_LINES = (
    ["create_task.py", "--title", "t", "--step", "a"],
    ["update_status.py", *_TASK, "--step-id", "1", "--step-status", "done"],
    ["update_status.py", *_TASK, "--check-interrupt"],
    ["update_status.py", *_TASK, "--heartbeat", "--heartbeat-summary", "at work"],
    ["update_status.py", *_TASK, "--ack-interrupt"],
    ["poll_interrupt.py", *_TASK, "--timeout", "0.1"],
)
_QUICK_LINES, _QUICK_CALLS = 2, 4  # how many command lines, and how many of each one's calls, in the quick form


@fault("scripts: each system call fails", strace, timeout_s=120)
def each_call_fails(rig: Rig) -> None:
    """With a daemon, and with none; where that was the socket's fault, the drop is the way out."""
    rig.daemon.start()
    rig.send(10, agents=2)
    other = rig.make_daemon(env={"CLAWLOG_BASE_URL": "http://127.0.0.1:9"})
    tried = 0
    with tempfile.TemporaryDirectory(prefix="claw") as folder:
        env = {
            "PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, "CLAWLOG_STATE_DIR": str(other.state_dir),
            "CLAWLOG_SOCKET": str(other.socket_path), "CLAWLOG_AUTOSTART": "0", "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        for turn, (is_running, line) in enumerate(itertools.product((False, True), rig.scale(_LINES[:_QUICK_LINES], _LINES))):
            if is_running and not other.alive:
                other.start()
            tried += _sweep(rig, turn, Sweep([_PYTHON, str(_SCRIPTS / line[0]), *line[1:]], env), line)
        assert other.stop() == 0
    rig.notes["calls that failed"] = tried
    rig.recover()


def _sweep(rig: Rig, turn: int, sweep: Sweep, line: list[str]) -> int:
    """Each call fails once; how it does goes round the errors from call to call, and from one command line to the next."""
    failures = list(sweep.failures())
    calls = [failures[first : first + len(ERRORS)] for first in range(0, len(failures), len(ERRORS))]
    every = rig.scale(len(calls) // _QUICK_CALLS, 1)
    chosen = [errors[(number + turn) % len(ERRORS)] for number, errors in enumerate(calls)][every // 2 :: every]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for failing, ended in zip(chosen, threads.map(sweep.run, chosen), strict=True):
            rig.progress(f"{line[0]}, {failing}")
            assert ended.returncode in _STATUSES, (line, str(failing), ended.returncode, ended.stderr)
            assert "Traceback" not in ended.stderr, (line, str(failing), ended.stderr)
            # A line that cannot be written cannot be read.
            assert ended.returncode in (0, 20) or ended.stderr.strip() or failing.call == "write", (line, str(failing))
    return len(chosen)

"""The daemon that a caller starts is no child of the caller's circumstances: its Python, its signals, a broken program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from process.places.conftest import BIN, ROOT, World, daemons_below, taken


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONPATH", "broken"),
        ("PYTHONHOME", "/nonexistent"),
        ("PYTHONWARNINGS", "error::ImportWarning,error::DeprecationWarning,error::ResourceWarning,error"),
        ("PYTHONSTARTUP", "/nonexistent"),
        ("PYTHONINSPECT", "1"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONIOENCODING", "ascii"),
        ("PYTHONPLATLIBDIR", "nonsense"),
    ],
)
def test_the_callers_python_is_not_the_daemons(world: World, name: str, value: str) -> None:
    if value == "broken":
        (world.home / "broken").mkdir()
        for module in ("msgspec", "aiohttp", "clawlogd"):
            (world.home / "broken" / f"{module}.py").write_text("raise ImportError('the caller own module')")
        value = str(world.home / "broken")
    env = {**world.env, name: value}
    program = "import sys; sys.argv[0] = sys.argv[1]; import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    command = [str(BIN / "python"), "-I", "-c", program, str(ROOT / "scripts" / "create_task.py"), "--title", "T"]
    ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)
    assert taken(ended), ended.stderr


@pytest.mark.parametrize(
    "broken", ["#!/nonexistent/python\n", "#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 127\n", "no program at all"]
)
def test_a_broken_program_is_passed_over_for_the_next(world: World, broken: str) -> None:
    """A checkout whose .venv was moved or made for another Python; the one on PATH is sound."""
    skill = world.home / "skill"
    shutil.copytree(ROOT / "client", skill / "client")
    shutil.copytree(ROOT / "scripts", skill / "scripts")
    program = skill / ".venv" / "bin" / "clawlogd"
    program.parent.mkdir(parents=True)
    program.write_text(broken)
    program.chmod(0o755)
    env = {**world.env, "PATH": f"{BIN}:{os.environ['PATH']}"}
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    command = [python, "-I", str(skill / "scripts" / "create_task.py"), "--title", "T"]
    ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)
    assert taken(ended), ended.stderr


def test_where_every_program_is_broken_each_is_named(world: World) -> None:
    skill = world.home / "skill"
    shutil.copytree(ROOT / "client", skill / "client")
    shutil.copytree(ROOT / "scripts", skill / "scripts")
    for folder in (skill / ".venv" / "bin", world.home / "bin"):
        folder.mkdir(parents=True)
        (folder / "clawlogd").write_text("#!/bin/sh\nexit 3\n")
        (folder / "clawlogd").chmod(0o755)
    env = {**world.env, "PATH": f"{world.home / 'bin'}:/usr/bin:/bin"}
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    command = [python, "-I", str(skill / "scripts" / "create_task.py"), "--title", "T"]
    ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["spooled"] is True
    assert str(skill / ".venv" / "bin" / "clawlogd") in ended.stderr
    assert str(world.home / "bin" / "clawlogd") in ended.stderr


BLOCKED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_signals_that_the_caller_blocks_still_end_the_daemon(world: World) -> None:
    command = [str(BIN / "python"), "-c", BLOCKED, str(ROOT / "scripts" / "create_task.py"), "--title", "T"]
    ended = subprocess.run(command, env=world.env, check=False, capture_output=True, text=True, timeout=30)
    assert taken(ended)
    (pid,) = daemons_below(world.home)
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not daemons_below(world.home):
            return
        subprocess.run(["sleep", "0.02"], check=True)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the daemon is deaf to SIGTERM")

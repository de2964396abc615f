"""``docs/python-api.md`` is what the docstrings say, has every public name, and its examples run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import clawlog
from support.daemon_process import DaemonProcess, environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python-api.md"
PROGRAM = ROOT / "docs" / "python_reference.py"

EXAMPLES = re.findall(r"^### (\w+)$.*?^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)

RUN_ALL = """
import json, sys, traceback
for name, text in json.load(sys.stdin):
    try:
        exec(compile(text, f"{name}.py", "exec"), {"__name__": "__main__"})
    except BaseException:
        print(f"The example of {name}:", file=sys.stderr)
        traceback.print_exc()
"""


@pytest.fixture
async def daemon(folder: Path) -> AsyncIterator[DaemonProcess]:
    process = await DaemonProcess(folder, CLAWLOG_BASE_URL="http://127.0.0.1:9").start()
    yield process
    await process.clean_up()


def test_the_page_is_what_the_docstrings_say() -> None:
    written = subprocess.run([sys.executable, PROGRAM], check=True, capture_output=True, text=True, timeout=50)
    assert PAGE.read_text("utf-8") == written.stdout, "run: python docs/python_reference.py > docs/python-api.md"


def test_every_public_name_has_its_place_and_its_example() -> None:
    assert sorted(name for name, _ in EXAMPLES) == sorted(clawlog.__all__)
    assert {path.stem for path in (ROOT / "docs" / "examples").glob("*.py")} == set(clawlog.__all__)
    assert all(f"clawlog.{name}" in text or name not in USED_BY_NAME for name, text in EXAMPLES)


USED_BY_NAME = {"task", "attach", "current_task", "track", "LogHandler", "async_task", "Client", "AsyncClient", "NewStep"}
"""Names that a program writes itself."""


async def test_the_examples_run(daemon: DaemonProcess, folder: Path) -> None:
    """One after another in one program: each by itself would cost a start."""
    import json

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error::SyntaxWarning",
        "-c",
        RUN_ALL,
        env=environment(folder, CLAWLOG_SOCKET=str(daemon.socket_path), CLAWLOG_AUTOSTART="0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate(json.dumps(EXAMPLES).encode())
    assert (process.returncode, err.decode()) == (0, ""), out.decode()
    tasks = (await daemon.call("task.list"))["tasks"]
    assert len(tasks) > 20
    assert {task["status"] for task in tasks} == {"done"}
    shown = {task["title"]: {step["title"]: step["status"] for step in task["steps"]} for task in tasks}
    assert shown["Release"]["sign what was built"] == "done"
    assert shown["Translate"] == {"words": "done", "look for one": "skipped"}

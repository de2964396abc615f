"""``clawlog doctor`` from inside a sandbox says what is closed there, and what to do."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from process.sandbox.conftest import Inside
from support.daemon_process import DaemonProcess
from support.sandbox import Sandbox, Sockets


@pytest.fixture
def doctor(inside: Inside, tmp: Path) -> Any:
    async def run(*writable: Path, sockets: Sockets = Sockets.NO_CONNECT, **env: str) -> tuple[int, dict[str, Any]]:
        command = [str(Path(sys.executable).with_name("clawlog")), "doctor", "--json"]
        box = Sandbox(None, writable, sockets)
        ran = await asyncio.to_thread(box.run, command, {**inside.env, **env}, inside.project)
        assert "Traceback" not in ran.stderr, ran.stderr
        (found,) = [each for each in json.loads(ran.stdout)["findings"] if each["check"] == "sandbox"]
        return ran.returncode, found

    return run


async def test_with_a_daemon_outside_all_is_well(outside: DaemonProcess, doctor: Any, tmp: Path) -> None:
    for sockets in (Sockets.NO_CONNECT, Sockets.NONE):
        _, found = await doctor(tmp, sockets=sockets, CODEX_SANDBOX_NETWORK_DISABLED="1")
        assert found["verdict"] == "ok", found
        assert "Codex" in found["found"]
        assert str(tmp) in found["found"]


async def test_what_is_wrong_is_told_with_what_to_do(outside: DaemonProcess, doctor: Any, tmp: Path, folder: Path) -> None:
    _, found = await doctor()
    assert (found["verdict"], "CLAWLOG_DROP" in found["advice"]) == ("fault", True)
    (folder / "elsewhere").mkdir()
    _, found = await doctor(folder / "elsewhere", TMPDIR=str(folder / "elsewhere"))
    assert (found["verdict"], "does not empty" in found["found"]) == ("warning", True)
    await outside.stop()
    _, found = await doctor(tmp)
    assert (found["verdict"], "none is seen to run" in found["found"]) == ("warning", True)

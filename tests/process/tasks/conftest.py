"""Programs that use the library, each run beside a daemon that is scripted.

Each program ends itself, with its stacks on stderr, when it has not come to its end after some seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clawlog.protocol import spool as spool_format
from support.scripted_daemon import ScriptedDaemon, on_unix_socket

HEAD = """
import faulthandler, gc, logging, os, signal, sys, threading, time
import clawlog
def guard():
    time.sleep(12)
    faulthandler.dump_traceback()
    os._exit(3)
threading.Thread(target=guard, daemon=True).start()  # faulthandler's own timer does not outlive a fork
from clawlog.connection import calls
"""


@dataclass
class Scene:
    """Where a program runs.

    Attributes:
        daemon: What it finds as its daemon.
    """

    folder: Path
    daemon: ScriptedDaemon

    def run(self, program: str, *, alone: bool = False) -> str:
        """Runs a program to its good end, with nothing on stderr; returns what it printed.

        Args:
            program: Its text.
            alone: Whether no daemon is there.
        """
        path = self.folder / "program.py"
        path.write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
        env = {"CLAWLOG_STATE_DIR": str(self.folder / "state"), "CLAWLOG_AUTOSTART": "0", "HOME": str(self.folder)}
        if not alone:
            env["CLAWLOG_SOCKET"] = self.daemon.address
        # That a program leaves a client open is its own affair; other warnings are faults here.
        command = [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::ResourceWarning",
            "-W",
            "ignore::DeprecationWarning",
            str(path),
        ]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        return ran.stdout

    def told(self) -> list[tuple[str, str | None]]:
        """Verb and status of every event that the daemon was told of."""
        return [(each.method, each.params.get("status")) for each in self.daemon.requests if "event_id" in each.params]

    def spooled(self) -> list[str]:
        """The verbs that wait in the spool."""
        files = sorted((self.folder / "state" / "spool").glob("*.call"))
        return [method for path in files for method, _ in spool_format.decode(path.read_bytes()).requests]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="claw") as name, on_unix_socket(f"{name}/d.sock") as daemon:
        yield Scene(Path(name), daemon)

"""The hook of coding agents as it is installed: its files in a folder of their own, called as agents call it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawlog.agents import hook_files, hooks_folder
from support.scripted_daemon import ScriptedDaemon, on_unix_socket

CLIENT = Path(__file__).resolve().parents[2] / "client"
LIMIT_S = 20.0
_HIGH = 40
"""Descriptors from here on are used by no shell script."""


@dataclass
class Hook:
    """An installed hook.

    Attributes:
        folder: A folder for the test; names in it hold a space and a quotation mark.
        shell: The shell that is to run the hook; empty for the one that it names itself.
        env: The environment, besides what every agent has.
        state: The daemon's state folder; by default one in the folder.
    """

    folder: Path
    shell: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    state: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if self.state == Path():
            self.state = self.folder / "st ate"
        self.env = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "d'ata"),
            "CLAWLOG_AUTOSTART": "0",
            **self.env,
        }
        for file in hook_files(self.env, str(self.state), sys.executable, str(CLIENT)):
            path = Path(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(file.mode)
        self.hooks = Path(hooks_folder(self.env))

    def call(
        self, agent: str, event: str, payload: Mapping[str, Any] | bytes, **env: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        """Calls the hook as an agent does, and returns when all that it started has ended."""
        with self.begun() as descriptor:
            return self.call_only(agent, event, payload, descriptor, **env)

    def call_only(
        self, agent: str, event: str, payload: Mapping[str, Any] | bytes, descriptor: int = -1, **env: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        """Calls the hook, and returns when the agent would go on: it has ended, and nobody holds its output open."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        variables = {name: value for name, value in {**self.env, **env}.items() if value is not None}
        return subprocess.run(
            [*self.shell, str(self.hooks / "hook"), agent, event],
            input=content,
            capture_output=True,
            env=variables,
            cwd=self.folder,
            timeout=LIMIT_S,
            pass_fds=[descriptor] if descriptor >= 0 else [],
            check=False,
        )

    @contextlib.contextmanager
    def begun(self) -> Iterator[int]:
        """Gives a descriptor for what is started; at the end waits until nobody has it any more."""
        ours, low = os.pipe()
        theirs = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        os.close(low)
        try:
            yield theirs
        finally:
            os.close(theirs)
            try:
                assert select.select([ours], [], [], LIMIT_S)[0], "what the hook started goes on"
            finally:
                os.close(ours)

    def signs(self, agent: str, session: str) -> Path:
        """A session's file of signs."""
        return self.state / "run" / "signs" / agent / session

    def listen(self, agent: str, session: str) -> Path:
        """Does what the daemon does when it hears of a session: makes that file."""
        path = self.signs(agent, session)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        return path

    def hold(self, agent: str, session: str, message: str) -> Path:
        """Does what the daemon does when a person stops a session."""
        path = self.state / "run" / "agent-stops" / agent / session
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"stop-1\n{message}\n{json.dumps(message)}\n", encoding="utf-8")
        return path

    @contextlib.contextmanager
    def daemon(self) -> Iterator[ScriptedDaemon]:
        """A daemon in the state folder that takes all events."""
        for each in (self.state, self.state / "run"):
            each.mkdir(mode=0o700, exist_ok=True)
        with on_unix_socket(str(self.state / "run" / "clawlogd.sock")) as daemon:
            daemon.answers["agent.event"] = {"decision": "go", "task_id": "task-1"}
            yield daemon

"""Runs the three scripts as an agent would: as programs, reading what they print and the status they end with."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawlog import exits
from clawlog.cli.errors import CommandError

_FROM_PACKAGE = "import sys; from clawlog.scripting.fast import main; sys.exit(main({name!r}))"


@dataclass(frozen=True, slots=True)
class Report:
    """What a call of a script came to.

    Attributes:
        shown: The call as one would type it, without the task's id.
        status: Its exit status.
        task_id: The task, as it printed it.
        event_ids: The events that it sent, in order.
        took_s: How long the call took.
    """

    shown: str
    status: int
    task_id: str
    event_ids: tuple[str, ...]
    took_s: float

    @property
    def stop_requested(self) -> bool:
        """Whether it said that a stop is requested."""
        return self.status == exits.STOP_REQUESTED


class Scripts:
    """The scripts.

    Args:
        env: Their environment.
        folder: Where they are; without one, the same programs are run from the package.
    """

    def __init__(self, env: Mapping[str, str], folder: str | None) -> None:
        self._env = env
        self._folder = folder

    async def call(self, name: str, *arguments: str) -> Report:
        """Runs a script.

        Raises:
            CommandError: It ended with another status than 0 or 20, or printed something else than its result.
        """
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._command(name),
            *arguments,
            env=dict(self._env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
        try:
            printed, said = await process.communicate()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        took_s = time.monotonic() - began
        shown = _shown(name, arguments)
        status = process.returncode
        if status not in (exits.SUCCESS, exits.STOP_REQUESTED):
            words = said.decode("utf-8", "replace").strip()
            raise CommandError(f"{shown} ended with status {status}: {words}")
        try:
            reply = json.loads(printed)
            event_ids = tuple(each["event_id"] for each in reply.values() if isinstance(each, dict) and "event_id" in each)
            return Report(shown, status, str(reply["task_id"]), event_ids, took_s)
        except (ValueError, KeyError, AttributeError) as error:
            raise CommandError(f"{shown} printed no result: {printed!r}") from error

    def _command(self, name: str) -> list[str]:
        if self._folder is not None:
            return [sys.executable, os.path.join(self._folder, f"{name}.py")]
        return [sys.executable, "-P", "-c", _FROM_PACKAGE.format(name=name)]


def find_scripts() -> str | None:
    """The checkout's folder of scripts, or None where the package is installed without it."""
    checkout = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))
    folder = os.path.join(checkout, "scripts")
    return folder if os.path.isfile(os.path.join(folder, "create_task.py")) else None


def _shown(name: str, arguments: Sequence[str]) -> str:
    told = list(arguments)
    if "--task-id" in told:
        index = told.index("--task-id")
        del told[index : index + 2]
    return f"{name}.py {shlex.join(told)}"

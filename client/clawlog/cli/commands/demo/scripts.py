"""Runs the three scripts as an agent would: as programs, reading their output and exit status."""

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
class ScriptResult:
    """The outcome of a script's call.

    Attributes:
        shown: The call as one would type it, without the task's id.
        status: Its exit status.
        task_id: The task that it printed.
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
        """Whether it reported that a stop is requested."""
        return self.status == exits.STOP_REQUESTED


class Scripts:
    """The scripts.

    Args:
        env: Their environment.
        folder: Where they are; None runs the same programs from the package.
    """

    def __init__(self, env: Mapping[str, str], folder: str | None) -> None:
        self._env = env
        self._folder = folder

    async def call(self, name: str, *arguments: str) -> ScriptResult:
        """Runs a script.

        Raises:
            CommandError: It ended with a status other than 0 or 20, or printed no valid result.
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
            printed, errors = await process.communicate()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        took_s = time.monotonic() - began
        shown = _shown(name, arguments)
        status = process.returncode
        if status not in (exits.SUCCESS, exits.STOP_REQUESTED):
            message = errors.decode("utf-8", "replace").strip()
            raise CommandError(f"{shown} ended with status {status}: {message}")
        try:
            reply = json.loads(printed)
            event_ids = tuple(each["event_id"] for each in reply.values() if isinstance(each, dict) and "event_id" in each)
            return ScriptResult(shown, status, str(reply["task_id"]), event_ids, took_s)
        except (ValueError, KeyError, AttributeError) as error:
            raise CommandError(f"{shown} printed no result: {printed!r}") from error

    def _command(self, name: str) -> list[str]:
        if self._folder is not None:
            return [sys.executable, os.path.join(self._folder, f"{name}.py")]
        return [sys.executable, "-P", "-c", _FROM_PACKAGE.format(name=name)]


def find_scripts() -> str | None:
    """Returns the checkout's folder of scripts, or None where the package is installed without it."""
    checkout = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))
    folder = os.path.join(checkout, "scripts")
    return folder if os.path.isfile(os.path.join(folder, "create_task.py")) else None


def _shown(name: str, arguments: Sequence[str]) -> str:
    shown = list(arguments)
    if "--task-id" in shown:
        index = shown.index("--task-id")
        del shown[index : index + 2]
    return f"{name}.py {shlex.join(shown)}"

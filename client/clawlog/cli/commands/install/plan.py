"""A plan is a list of actions that can be shown before, or instead of, being executed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clawlog import exits, files
from clawlog.cli.commands.install.record import Record, digest, digest_of
from clawlog.cli.errors import CommandError

_LIMIT_S = 60.0
_SHORT_LINES = 12


class Action(Protocol):
    """One action of a plan."""

    def check(self, record: Record) -> None:
        """Raises ``CommandError`` where the action must not be performed."""

    def perform(self, record: Record) -> None:
        """Performs the action and adds it to the record. Raises ``CommandError`` where it fails."""

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""


@dataclass(frozen=True, slots=True)
class Write:
    """Writes a file, whole or not at all.

    Attributes:
        path: The file.
        content: Its content.
        mode: Its permissions.
        force: Whether to overwrite a file that was not written here.
    """

    path: str
    content: bytes
    mode: int = 0o644
    force: bool = False

    def check(self, record: Record) -> None:
        """Refuses to overwrite a file that was not written here."""
        found = digest_of(self.path)
        if found not in (None, digest(self.content)) and not record.is_ours(self.path) and not self.force:
            raise CommandError(
                f"{self.path} exists, and was not written by this command (or was changed since); move it away, or use --force",
                exits.REFUSED,
            )

    def perform(self, record: Record) -> None:
        """Performs the action."""
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            files.write(self.path, self.content, mode=self.mode)
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror}", exits.UNAVAILABLE) from None
        record.files[self.path] = digest(self.content)

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "write", "path": self.path, "bytes": len(self.content), "mode": f"{self.mode:o}"}

    def lines(self) -> Sequence[str]:
        """Returns the action for people: short files with their content."""
        shown = self.content.decode("utf-8", "replace").splitlines()
        head = f"write   {self.path}  ({len(self.content)} bytes, mode {self.mode:o})"
        return [head, *(f"          {line}" for line in shown)] if len(shown) <= _SHORT_LINES else [head]


@dataclass(frozen=True, slots=True)
class Remove:
    """Removes a file that was written here, and the folders that are then empty."""

    path: str

    def check(self, record: Record) -> None:
        """Allows it always: a file that was changed since is kept."""

    def perform(self, record: Record) -> None:
        """Performs the action."""
        if record.is_ours(self.path):
            try:
                os.unlink(self.path)
            except OSError as error:
                raise CommandError(f"{self.path} cannot be removed: {error.strerror}", exits.UNAVAILABLE) from None
            with contextlib.suppress(OSError):  # the first that is not empty, or that we may not remove
                os.removedirs(os.path.dirname(self.path))
        elif os.path.exists(self.path):
            raise CommandError(f"{self.path} was changed since it was written: remove it yourself", exits.REFUSED)
        del record.files[self.path]

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "remove", "path": self.path}

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""
        return [f"remove  {self.path}"]


@dataclass(frozen=True, slots=True)
class Run:
    """Runs a program.

    Attributes:
        command: The program with its arguments.
        may_fail: Whether the plan continues when it fails.
    """

    command: tuple[str, ...]
    may_fail: bool = False

    def check(self, record: Record) -> None:
        """Allows it always."""

    def perform(self, record: Record) -> None:
        """Performs the action."""
        del record
        shown = " ".join(self.command)
        try:
            ran = subprocess.run(
                self.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            if not self.may_fail:
                raise CommandError(f"{shown} could not be run: {error}", exits.UNAVAILABLE) from None
            return
        if ran.returncode != 0 and not self.may_fail:
            raise CommandError(f"{shown} ended with status {ran.returncode}: {ran.stderr.strip()}", exits.UNAVAILABLE)

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "run", "command": list(self.command)}

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""
        return [f"run     {' '.join(self.command)}"]


def check(plan: Sequence[Action], kind: str, env: Mapping[str, str]) -> Record:
    """Checks that all of a plan may be done; returns the record of what was done before.

    Raises:
        CommandError: An action must not be performed.
    """
    record = Record.load(kind, env)
    for action in plan:
        action.check(record)
    return record


def execute(plan: Sequence[Action], kind: str, env: Mapping[str, str]) -> None:
    """Executes a plan, after checking that all of it may be done.

    What was done is recorded even where a later action fails.

    Raises:
        CommandError: An action must not be performed (then none is), or one failed.
    """
    record = check(plan, kind, env)
    try:
        for action in plan:
            action.perform(record)
    finally:
        record.save(kind, env)

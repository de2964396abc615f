"""Writes files that belong to this project alone: the hook itself, and what it has in folders of agents."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from clawlog import exits
from clawlog.agents.installation import OwnFile
from clawlog.cli.commands.install.hooks import edits
from clawlog.cli.commands.install.hooks.edits import Revision
from clawlog.cli.commands.install.plan import Remove, Write
from clawlog.cli.commands.install.record import Record, digest, digest_of
from clawlog.cli.editing import places
from clawlog.cli.errors import CommandError

_SHOWN_LINES = 40


def is_due(file: OwnFile, record: Record) -> bool:
    """Whether a file is to be written: it is not as it should be, or not recorded as ours."""
    if file.path not in record.files or digest_of(file.path) != digest(file.content):
        return True
    return _mode(file.path) != file.mode


@dataclass(frozen=True, slots=True)
class WriteOwn:
    """Writes a file of this project's own.

    Attributes:
        file: The file.
        agent: The agent that it belongs to; empty for the hook, which serves all.
        force: Whether to overwrite one that was not written here.
    """

    file: OwnFile
    agent: str = ""
    force: bool = False

    def check(self, record: Record) -> None:
        """Refuses to overwrite a file that was not written here."""
        self._write().check(record)

    def perform(self, record: Record) -> None:
        """Performs the action."""
        try:
            record.folders += places.make_folders(os.path.dirname(self.file.path))
            self._write().perform(record)
            if _mode(self.file.path) != self.file.mode:
                os.chmod(self.file.path, self.file.mode)
        except OSError as error:
            raise CommandError(f"{self.file.path} cannot be written: {error.strerror}", exits.UNAVAILABLE) from None
        record.agents[self.file.path] = self.agent

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return self._write().describe()

    def lines(self) -> Sequence[str]:
        """Returns the action for people: what changes in it; of a long one that is new, no more than that."""
        head = self._write().lines()[0]
        with contextlib.suppress(CommandError):
            before = places.read(self.file.path)
            lines = edits.diff(self.file.path, Revision(before, self.file.content.decode("utf-8", "replace"), None))
            if len(lines) <= _SHOWN_LINES:
                return [head, *(f"        {line}" for line in lines)]
        return [head]

    def _write(self) -> Write:
        return Write(self.file.path, self.file.content, mode=self.file.mode, force=self.force)


def _mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@dataclass(frozen=True, slots=True)
class RemoveOwn:
    """Removes such a file, and the folders that were made for it and are then empty.

    Attributes:
        path: The file.
        content: Of one of which there is no record: what it holds where it is ours.
    """

    path: str
    content: bytes | None = None

    def check(self, record: Record) -> None:
        """Allows it always: a file that was changed since is kept."""

    def perform(self, record: Record) -> None:
        """Performs the action."""
        if self.content is not None and digest_of(self.path) == digest(self.content):
            record.files[self.path] = digest(self.content)
        if record.is_ours(self.path):
            try:
                os.unlink(self.path)
            except OSError as error:
                raise CommandError(f"{self.path} cannot be removed: {error.strerror}", exits.UNAVAILABLE) from None
            del record.files[self.path]
            record.leave(self.path)
        else:
            Remove(self.path).perform(record)
        record.agents.pop(self.path, None)

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return Remove(self.path).describe()

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""
        return Remove(self.path).lines()

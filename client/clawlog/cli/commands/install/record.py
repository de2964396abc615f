"""Records what was written, in the state folder: each file with its SHA-256, each settings file with what was put into it.

Of a settings file nothing is kept but its SHA-256 and what is ours: it may hold what is secret.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from clawlog import locations
from clawlog.cli.editing.changes import Own, Splice
from clawlog.cli.errors import CommandError

MCP = "mcp:"
"""Before an agent's name: what was put into its settings is the server of ``install mcp``, not the hook."""

_NAME = "installed.json"


@dataclass(frozen=True, slots=True)
class Edited:
    """What was done to a settings file.

    Attributes:
        before: Its SHA-256 before; None where it was not there.
        after: Its SHA-256 afterwards.
        own: What was put in.
        splices: Each change of the text, in order; None where somebody else changed it between two of ours.
        begun: Where it was not there: its text before anything was put in.
    """

    before: str | None
    after: str
    own: tuple[Own, ...] = ()
    splices: tuple[Splice, ...] | None = ()
    begun: str | None = None

    @classmethod
    def loaded(cls, told: Mapping[str, Any]) -> Self:
        """Returns one from the record."""
        own = tuple(map(Own.loaded, told["own"]))
        splices = told["splices"]
        return cls(
            told["before"], told["after"], own, None if splices is None else tuple(map(tuple, splices)), told.get("begun")
        )

    def recorded(self) -> dict[str, Any]:
        """Returns it for the record."""
        own = [each.recorded() for each in self.own]
        return {"before": self.before, "after": self.after, "own": own, "splices": self.splices, "begun": self.begun}


@dataclass(slots=True)
class Record:
    """What was written for one kind of installation.

    Attributes:
        files: Path to SHA-256.
        hooks: Settings file to the command that an earlier version added to it.
        edits: Settings file to what was done to it.
        agents: Path to the agent that a file belongs to.
        folders: The folders that were made, each after the one that it is in.
    """

    files: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    edits: dict[str, Edited] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, kind: str, env: Mapping[str, str]) -> Self:
        """Returns the record of a kind, such as ``skill``.

        Raises:
            CommandError: The record cannot be read.
        """
        found = _read(env).get(kind, {})
        try:
            edits = {path: Edited.loaded(told) for path, told in found.get("edits", {}).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CommandError(_unreadable(_path(env), error)) from None
        return cls(
            dict(found.get("files", {})),
            dict(found.get("hooks", {})),
            edits,
            dict(found.get("agents", {})),
            list(found.get("folders", [])),
        )

    def save(self, kind: str, env: Mapping[str, str]) -> None:
        """Writes the record, in place of the former one of this kind.

        Raises:
            CommandError: It cannot be written.
        """
        every = _read(env)
        told: dict[str, Any] = {"files": self.files, "hooks": self.hooks}
        told |= {"edits": {name: each.recorded() for name, each in self.edits.items()}} if self.edits else {}
        told |= {"agents": self.agents} if self.agents else {}
        told |= {"folders": self.folders} if self.folders else {}
        every[kind] = told
        if not any(told.values()):
            del every[kind]
        folder = locations.state_dir(env)
        path = _path(env)
        try:
            if not every:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                return
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with open(f"{path}.draft", "w", encoding="utf-8") as file:
                json.dump(every, file, ensure_ascii=False, indent=2)
            os.replace(f"{path}.draft", path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}; set CLAWLOG_STATE_DIR") from None

    def leave(self, path: str) -> None:
        """Removes the folders that were made for a file which is gone, as far as they are empty."""
        folder = os.path.dirname(path)
        while folder in self.folders:
            try:
                os.rmdir(folder)
            except OSError:
                return
            self.folders.remove(folder)
            folder = os.path.dirname(folder)

    def is_ours(self, path: str) -> bool:
        """Whether a file was written here and is unchanged."""
        return path in self.files and digest_of(path) == self.files[path]


def digest(content: bytes) -> str:
    """Returns the content's SHA-256."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: str) -> str | None:
    """Returns a file's SHA-256; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except OSError:
        return None


def _path(env: Mapping[str, str]) -> str:
    return os.path.join(locations.state_dir(env), _NAME)


def _unreadable(path: str, error: Exception) -> str:
    return f"{path} cannot be read: {error}; move it away, then remove what was installed by hand"


def _read(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    path = _path(env)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(_unreadable(path, error)) from None
    return found if isinstance(found, dict) else {}

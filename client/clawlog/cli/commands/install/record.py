"""Records what was written, in the state folder: each file with its SHA-256, each settings file that got a hook."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from clawlog import locations
from clawlog.cli.errors import CommandError

_NAME = "installed.json"


@dataclass(slots=True)
class Record:
    """What was written for one kind of installation.

    Attributes:
        files: Path to SHA-256.
        hooks: Settings file to the command that was added to it.
    """

    files: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, kind: str, env: Mapping[str, str]) -> Self:
        """Returns the record of a kind: ``systemd``, ``skill`` or ``hooks``.

        Raises:
            CommandError: The record cannot be read.
        """
        found = _read(env).get(kind, {})
        return cls(dict(found.get("files", {})), dict(found.get("hooks", {})))

    def save(self, kind: str, env: Mapping[str, str]) -> None:
        """Writes the record, in place of the former one of this kind.

        Raises:
            CommandError: It cannot be written.
        """
        every = _read(env)
        every[kind] = asdict(self)
        if not self.files and not self.hooks:
            del every[kind]
        folder = locations.state_dir(env)
        path = os.path.join(folder, _NAME)
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


def _read(env: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    path = os.path.join(locations.state_dir(env), _NAME)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}; move it away, then remove what was installed by hand") from None
    return found if isinstance(found, dict) else {}

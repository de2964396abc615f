"""The agent skill: ``SKILL.md``, its scripts and references, and the library that the scripts need, in a folder of skills."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from clawlog import locations
from clawlog.cli.commands.install import sources
from clawlog.cli.commands.install.plan import Action, Remove, Write
from clawlog.cli.commands.install.record import Record

KIND = "skill"
NAME = "clawlog-status-sync"
"""The skill's name, and its folder's."""

_FOLDERS = ("references", "scripts")


def default_folder(env: Mapping[str, str]) -> str:
    """Returns the folder where agents expect a user's skills."""
    return os.path.join(locations.home(env), ".agents", "skills")


def install(into: str, *, force: bool) -> Sequence[Action]:
    """Returns the plan that writes the skill.

    Args:
        into: The folder of skills; the skill gets a folder in it.
        force: Whether to overwrite files that were not written here.

    Raises:
        CommandError: The shipped files are missing.
    """
    root = os.path.join(os.path.abspath(into), NAME)
    shipped = ["SKILL.md", *(path for folder in _FOLDERS for path in sources.listed(folder))]
    files = [(path, sources.read(path)) for path in shipped] + list(sources.library())
    return [Write(os.path.join(root, path), content, mode=_mode(path), force=force) for path, content in files]


def uninstall(into: str, env: Mapping[str, str]) -> Sequence[Action]:
    """Returns the plan that removes it."""
    root = os.path.join(os.path.abspath(into), NAME) + os.sep
    return [Remove(path) for path in Record.load(KIND, env).files if path.startswith(root)]


def _mode(path: str) -> int:
    return 0o755 if os.path.dirname(path) == "scripts" else 0o644

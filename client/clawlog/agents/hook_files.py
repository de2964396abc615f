"""The files of the hook itself: a folder of the user's data, to which agents' settings point for ever."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from clawlog import locations
from clawlog.agents.installation import OwnFile

_FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
_PLUGINS = {
    "plugin.js": "plugin.js",
    "opencode.js": "opencode.js",
    "openclaw/index.js": "openclaw/index.js",
    "openclaw/plugin.js": "plugin.js",  # a plugin's folder holds all that it loads
    "openclaw/package.json": "openclaw/package.json",
    "openclaw/openclaw.plugin.json": "openclaw/openclaw.plugin.json",
}
"""Each file's name there, and here."""


def hooks_folder(env: Mapping[str, str]) -> str:
    """Returns the folder of the hook; it need not exist yet.

    Raises:
        Unfit: The user has no home folder.
    """
    return os.path.join(locations.data_dir(env), "clawlog", "hooks")


def hook_files(env: Mapping[str, str], state_dir: str, python: str, path: str | None) -> Sequence[OwnFile]:
    """Returns what has to be in that folder.

    Args:
        env: The environment that says where it is.
        state_dir: The daemon's state folder.
        python: The interpreter that runs the hook's rarer part.
        path: The folder that holds the package ``clawlog``; None or empty where that interpreter finds it by itself.

    Raises:
        Unfit: The user has no home folder.
        ValueError: A path has a line end in it.
    """
    folder = hooks_folder(env)
    for each in (folder, state_dir, python, path or ""):
        if "\n" in each:
            raise ValueError(f"{each!r} has a line end in it, which no hook can cope with; choose another folder")
    return [
        OwnFile(os.path.join(folder, "hook"), _content("hook"), mode=0o755),
        OwnFile(os.path.join(folder, "state"), os.fsencode(f"{os.path.abspath(state_dir)}\n")),
        OwnFile(os.path.join(folder, "python"), os.fsencode(f"{python}\n{path or ''}\n")),
        OwnFile(os.path.join(folder, "openclaw", "folder.js"), _folder_module(folder)),
        *(OwnFile(os.path.join(folder, *there.split("/")), _content(here)) for there, here in _PLUGINS.items()),
    ]


def _folder_module(folder: str) -> bytes:
    return f"export const folder = {json.dumps(folder)}\n".encode()


def _content(name: str) -> bytes:
    with open(os.path.join(_FILES, *name.split("/")), "rb") as file:
        return file.read()

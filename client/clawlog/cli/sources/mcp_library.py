"""Whether the library of ``clawlog mcp`` is installed: the official SDK, which is an extra of this distribution."""

from __future__ import annotations

import sys
from importlib import metadata

from clawlog import exits
from clawlog.cli.errors import CommandError

MAJOR = 2
"""The major version that the server is written for; ``pyproject.toml`` pins the same."""


def check() -> None:
    """Checks that it is there, without importing it.

    Raises:
        CommandError: It is not, or is of another major version; the text says how to get it.
    """
    if (found := problem()) is not None:
        raise CommandError(f"{found}; {remedy()}", exits.UNAVAILABLE)


def problem() -> str | None:
    """Returns what is wrong with it, without importing it; None where nothing is."""
    try:
        version = metadata.version("mcp")
    except metadata.PackageNotFoundError:
        return "clawlog mcp needs the library mcp, which is not installed"
    if version.partition(".")[0] != str(MAJOR):
        return f"clawlog mcp needs version {MAJOR} of the library mcp, and {version} is installed"
    return None


def remedy() -> str:
    """Returns how to get it."""
    own = f"{sys.executable} -m pip install 'mcp>={MAJOR},<{MAJOR + 1}'"
    return f"install it: `pipx install --force '.[mcp]'` in a clone of the repository, or `{own}`"

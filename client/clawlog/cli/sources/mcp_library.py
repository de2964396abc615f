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
    try:
        version = metadata.version("mcp")
    except metadata.PackageNotFoundError:
        text = f"clawlog mcp needs the library mcp, which is not installed; {_remedy()}"
        raise CommandError(text, exits.UNAVAILABLE) from None
    if version.partition(".")[0] != str(MAJOR):
        text = f"clawlog mcp needs version {MAJOR} of the library mcp, and {version} is installed; {_remedy()}"
        raise CommandError(text, exits.UNAVAILABLE)


def _remedy() -> str:
    own = f"{sys.executable} -m pip install 'mcp>={MAJOR},<{MAJOR + 1}'"
    return f"install it: `pipx install --force '.[mcp]'` in a clone of the repository, or `{own}`"

"""The Pythons that scripts run on, with nothing installed in them, as far as they are here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
_PYENV = Path.home() / ".pyenv" / "versions"


def installed() -> dict[str, str]:
    """Their programs by version: on the path, or where pyenv keeps those that it has not put there."""
    found: dict[str, str] = {}
    for version in VERSIONS:
        on_path = shutil.which(f"python{version}")
        kept = map(str, sorted(_PYENV.glob(f"{version}.*/bin/python")))
        program = next(filter(_works, [*([on_path] if on_path else []), *kept]), None)
        if program is not None:
            found[version] = program
    return found


def _works(program: str) -> bool:
    return subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode == 0

"""Puts manual pages and completion into the wheel, below ``share``, where ``man`` and shells look beside a program's ``bin``.

They are written while the wheel is built, from the parsers themselves (``man_pages.py``, ``clawlog completion``), so that none
is older than its program.
"""

# ruff: noqa: INP001 -- run by the build backend, in place

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("client", "daemon", "backend")
COMPLETIONS = {
    "bash": "share/bash-completion/completions/clawlog",
    "zsh": "share/zsh/site-functions/_clawlog",
    "fish": "share/fish/vendor_completions.d/clawlog.fish",
}


class SharedFiles(BuildHookInterface[Any]):
    """The hook."""

    def dependencies(self) -> list[str]:
        """What the parsers are built with."""
        wanted = ("click", "msgspec")
        return [each for each in self.metadata.core.dependencies if each.startswith(wanted)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes them, unless the wheel only points at a checkout."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="shared-")
        pages, distribution = Path(self._folder.name, "man"), Path(self._folder.name, "installed")
        # Each package asks for its version as that of a distribution, which is only being built.
        named = f"{self.metadata.name.replace('-', '_')}-{self.metadata.version}.dist-info"
        (distribution / named).mkdir(parents=True)
        content = f"Metadata-Version: 2.1\nName: {self.metadata.name}\nVersion: {self.metadata.version}\n"
        (distribution / named / "METADATA").write_text(content, encoding="utf-8")
        root = Path(self.root)
        path = os.pathsep.join(map(str, (distribution, *(root / each for each in PACKAGES))))
        env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, root / "docs" / "man_pages.py", pages], env=env, check=True)
        for page in sorted(pages.iterdir()):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
        for shell, place in COMPLETIONS.items():
            program = [sys.executable, "-c", "from clawlog.cli.entry import main; main()", "completion", shell]
            script = Path(self._folder.name, shell)
            script.write_bytes(subprocess.run(program, env=env, check=True, stdout=subprocess.PIPE).stdout)
            build_data["shared_data"][str(script)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Takes away what was written for the build alone."""
        del version, build_data, artifact_path
        if (folder := getattr(self, "_folder", None)) is not None:
            folder.cleanup()

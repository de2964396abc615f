"""Settings of agents, written and read: what ``clawlog install hooks`` is tried on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.installation import Installation, Ran

REFUSED = 65


def hook(fresh: Installation) -> Path:
    return fresh.folder / ".local" / "share" / "clawlog" / "hooks" / "hook"


def written(settings: Path, content: str | bytes) -> bytes:
    settings.parent.mkdir(exist_ok=True)
    settings.write_bytes(content if isinstance(content, bytes) else content.encode())
    return settings.read_bytes()


def install(fresh: Installation, clawlog: Callable[..., Ran], *arguments: str, agent: str = "claude-code") -> Ran:
    done = clawlog(fresh, "install", "hooks", agent, *arguments)
    assert done.status == 0, done.stderr
    return done


def uninstall(fresh: Installation, clawlog: Callable[..., Ran], *arguments: str) -> Ran:
    done = clawlog(fresh, "uninstall", "hooks", *arguments)
    assert done.status == 0, done.stderr
    return done


def commands(tree: Any) -> list[str]:
    """What a settings' hooks run."""
    return [each["command"] for groups in tree.get("hooks", {}).values() for group in groups for each in group.get("hooks", [])]


def ours(fresh: Installation, settings: Path) -> list[str]:
    text = settings.read_text(encoding="utf-8-sig")
    return [each for each in commands(json.loads(text or "{}")) if str(hook(fresh)) in each]


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files, links and folders below a folder, each with its mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found

"""Whether Codex trusts the hook: it runs none that a person has not agreed to, and says nothing of that where nobody sees it.

Codex keeps its trust in ``config.toml``: for each hook the SHA-256 of what it runs, under the file, the event and the place in
it. Found by trying (0.171.0), not documented: so a digest that is not understood counts as not known, never as a fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clawlog.cli.editing import changes, json_text, places, toml_text
from clawlog.cli.errors import NotEditable

_TIMEOUT_S = 600
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def is_trusted(folder: str, hooks: str) -> bool | None:
    """Returns whether all of the hook's entries are trusted; None where there are none, or that cannot be told.

    Args:
        folder: The folder of Codex's settings.
        hooks: The folder of the hook.
    """
    path = os.path.join(folder, "hooks.json")
    try:
        text, settings = places.read(path), places.read(os.path.join(folder, "config.toml"))
        found = json_text.value_at(text, ("hooks",))[1] if text is not None else None
        state = toml_text.value_at(settings, ("hooks", "state"))[1] if settings is not None else None
    except NotEditable:
        return None
    wanted = list(_digests(found, hooks)) if isinstance(found, dict) else []
    if not wanted:
        return None
    known = state if isinstance(state, dict) else {}
    return all(digest in _told(known, path, where) for where, digest in wanted)


def _told(known: Mapping[str, Any], path: str, where: str) -> set[Any]:
    names = {f"{each}:{where}" for each in (path, os.path.realpath(path))}
    return {value.get("trusted_hash") for name, value in known.items() if name in names and isinstance(value, dict)}


def _digests(found: Mapping[str, Any], hooks: str) -> Iterator[tuple[str, str]]:
    """Returns where each of our hooks stands, as Codex names it, and the digest that it would have."""
    for event, groups in found.items():
        name = _WORD.sub("_", event).lower()
        for index, group in enumerate(groups if isinstance(groups, list) else ()):
            listed = group.get("hooks") if isinstance(group, dict) else None
            for place, hook in enumerate(listed if isinstance(listed, list) else ()):
                if any(f"{hooks}/hook" in command.replace("'\\''", "'") for command in changes.commands_in(hook)):
                    yield f"{name}:{index}:{place}", _digest(name, group, hook)


def _digest(event: str, group: Mapping[str, Any], hook: Mapping[str, Any]) -> str:
    told = {
        "async": hook.get("async", False),
        "command": hook.get("command"),
        "timeout": hook.get("timeout", _TIMEOUT_S),
        "type": "command",
    }
    whole = {"event_name": event, "hooks": [told], **({"matcher": group["matcher"]} if "matcher" in group else {})}
    written = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(written.encode()).hexdigest()}"

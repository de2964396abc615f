"""An agent's hook: a program that agents run before each tool call, and that blocks it once a stop is requested.

It is a shell script that checks for one file, so it costs the agent nothing. An agent's settings name it in the shape that
several agents share: ``{"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": PATH}]}]}}``. Such a program gets a
description of the tool call on stdin; its exit status 2 blocks the call, and the agent sees its stderr.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog import exits, files, locations
from clawlog.cli.commands.install.plan import Action, Remove, Write
from clawlog.cli.commands.install.record import Record
from clawlog.cli.errors import CommandError

KIND = "hooks"

_BYTE_ORDER_MARK = "\ufeff"
_NEW = "{\n  \n}\n"
"""A file that is not there yet is written with two spaces and a line end."""
_INDENTATION = re.compile(r"\n([ \t]+)\"")
_HOOK_EVENT = "PreToolUse"

HOOK = """\
#!/bin/sh
# Run by an agent before each use of a tool: holds it back (status 2) while a stop of its task is asked for.
# The task is the one in CLAWLOG_TASK_ID; without it, nothing is held back. The acknowledgement itself is let through.
[ -n "${CLAWLOG_TASK_ID:-}" ] || exit 0
state=${CLAWLOG_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/clawlog}
stop=$state/run/stop/$CLAWLOG_TASK_ID
[ -e "$stop" ] || exit 0
case $(cat) in *--ack-interrupt*) exit 0 ;; esac
reason=$(sed -n 2p "$stop" 2>/dev/null)
echo "A person asked this task to stop${reason:+: $reason}. Do nothing more but acknowledge:" >&2
echo "  update_status.py --task-id $CLAWLOG_TASK_ID --ack-interrupt --ack-summary \\"what was finished, what was not\\"" >&2
exit 2
"""


def path(env: Mapping[str, str]) -> str:
    """Returns the hook's path."""
    config = locations.config_dir(env)
    return os.path.join(config, "clawlog", "hooks", "stop-check")


def install(env: Mapping[str, str], settings: str | None, *, force: bool) -> Sequence[Action]:
    """Returns the plan that writes the hook and, where an agent's settings file is given, adds it there."""
    hook = path(env)
    plan: list[Action] = [Write(hook, HOOK.encode("utf-8"), mode=0o755, force=force)]
    if settings is not None:
        plan.append(AddHook(os.path.abspath(settings), hook))
    return plan


def uninstall(env: Mapping[str, str]) -> Sequence[Action]:
    """Returns the plan that removes it, and its entries in settings."""
    record = Record.load(KIND, env)
    return [*(RemoveHook(settings, hook) for settings, hook in record.hooks.items()), *map(Remove, record.files)]


@dataclass(frozen=True, slots=True)
class AddHook:
    """Adds the hook to an agent's settings file."""

    settings: str
    hook: str

    def check(self, record: Record) -> None:
        """Refuses a file of an unknown shape."""
        del record
        _entries(_read(self.settings)[1], self.settings)

    def perform(self, record: Record) -> None:
        """Adds the entry, unless it is there."""
        text, tree = _read(self.settings)
        entries = _entries(tree, self.settings)
        if not any(_names(entry, self.hook) for entry in entries):
            entries.append({"hooks": [{"type": "command", "command": self.hook}]})
            _write(self.settings, tree, text)
        record.hooks[self.settings] = self.hook

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "edit", "path": self.settings, "hook": self.hook}

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""
        return [f"edit    {self.settings}: run {self.hook} before each tool call"]


@dataclass(frozen=True, slots=True)
class RemoveHook:
    """Removes the hook from an agent's settings file."""

    settings: str
    hook: str

    def check(self, record: Record) -> None:
        """Refuses a file of an unknown shape."""
        AddHook(self.settings, self.hook).check(record)

    def perform(self, record: Record) -> None:
        """Removes the entry; everything else in the file stays."""
        text, tree = _read(self.settings)
        entries = _entries(tree, self.settings)
        kept = [entry for entry in entries if not _names(entry, self.hook)]
        if len(kept) < len(entries):
            entries[:] = kept
            if not kept:
                del tree["hooks"][_HOOK_EVENT]
            if not tree["hooks"]:
                del tree["hooks"]
            _write(self.settings, tree, text)
        del record.hooks[self.settings]

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "edit", "path": self.settings, "hook": None}

    def lines(self) -> Sequence[str]:
        """Returns the action for people."""
        return [f"edit    {self.settings}: no longer run {self.hook}"]


def _read(settings: str) -> tuple[str, dict[str, Any]]:
    """Returns the settings as they are written, and what they say."""
    try:
        with open(settings, encoding="utf-8", newline="") as file:
            text = file.read()
        tree = json.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except FileNotFoundError:
        return _NEW, {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{settings} cannot be read as JSON: {error}; nothing was changed", exits.REFUSED) from None
    if not isinstance(tree, dict):
        raise CommandError(f"{settings} holds no JSON object; nothing was changed", exits.REFUSED)
    return text, tree


def _entries(tree: dict[str, Any], settings: str) -> list[Any]:
    """Returns the list of hooks before a tool call, created where it is missing."""
    hooks = tree.setdefault("hooks", {})
    entries = hooks.setdefault(_HOOK_EVENT, []) if isinstance(hooks, dict) else None
    if not isinstance(entries, list):
        raise CommandError(f"{settings} has hooks in a shape that is not known here; nothing was changed", exits.REFUSED)
    return entries


def _names(entry: Any, hook: str) -> bool:
    return isinstance(entry, dict) and any(
        isinstance(each, dict) and each.get("command") == hook for each in entry.get("hooks") or ()
    )


def _write(settings: str, tree: dict[str, Any], before: str) -> None:
    try:
        os.makedirs(os.path.dirname(settings), exist_ok=True)
        files.write(settings, _written_alike(tree, before).encode("utf-8"), mode=0o644)
    except OSError as error:
        raise CommandError(f"{settings} cannot be written: {error.strerror}", exits.UNAVAILABLE) from None


def _written_alike(tree: dict[str, Any], before: str) -> str:
    """Returns JSON in the way in which the file was written: indentation, line ends, escapes, a byte order mark."""
    indentation = _INDENTATION.search(before)
    indent = indentation[1] if indentation else 2 if "\n" in before else None
    text = json.dumps(tree, ensure_ascii=before.removeprefix(_BYTE_ORDER_MARK).isascii() and "\\u" in before, indent=indent)
    text += "\n" if before.endswith("\n") else ""
    text = text.replace("\n", "\r\n") if "\r\n" in before else text
    return _BYTE_ORDER_MARK + text if before.startswith(_BYTE_ORDER_MARK) else text

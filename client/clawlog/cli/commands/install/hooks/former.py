"""Takes out what an earlier version of ``clawlog install hooks`` had put in: a hook named ``stop-check``, and its entries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawlog import locations
from clawlog.cli.commands.install.hooks import edits
from clawlog.cli.commands.install.hooks.edits import Revision
from clawlog.cli.commands.install.plan import Action, Remove
from clawlog.cli.commands.install.record import Record
from clawlog.cli.editing import changes, places
from clawlog.cli.editing.changes import Own
from clawlog.cli.errors import NotEditable

KIND = "hooks"
"""Under which that version kept its record."""

_WHERE = ("hooks", "PreToolUse")


def plan(env: Mapping[str, str]) -> tuple[list[Action], list[tuple[str, str]]]:
    """Returns what is to be done, and each settings file that has to be left alone, with the reason."""
    record = Record.load(KIND, env)
    actions: list[Action] = []
    left: list[tuple[str, str]] = []
    for path, hook in record.hooks.items():
        try:
            actions.append(TakeOut(path, hook, _without(path, hook)))
        except NotEditable as error:
            left.append((path, str(error)))
    if not left:  # else the settings would name a file that is not there
        actions += map(Remove, record.files)
    return actions, left


def hook_path(env: Mapping[str, str]) -> str:
    """Returns where that version's hook was."""
    return os.path.join(locations.config_dir(env), "clawlog", "hooks", "stop-check")


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Takes the former hook out of a settings file."""

    path: str
    hook: str
    revision: Revision

    def check(self, record: Record) -> None:
        """Allows it: what must be left alone was said when it was planned."""

    def perform(self, record: Record) -> None:
        """Performs the action."""
        try:
            revision = _without(self.path, self.hook)
        except NotEditable as error:
            raise NotEditable(f"{self.path} was changed in between, and is left alone: {error}") from None
        if revision.before != revision.after:
            places.write(self.path, revision.after or "")
        del record.hooks[self.path]

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {"action": "edit", "path": self.path, "agents": [], "diff": edits.diff(self.path, self.revision)}

    def lines(self) -> Sequence[str]:
        """Returns the action for people; nothing where the file stays as it is."""
        if self.revision.before == self.revision.after:
            return []
        return [f"edit    {self.path}", *(f"        {line}" for line in edits.diff(self.path, self.revision))]


def _without(path: str, hook: str) -> Revision:
    text = places.read(path)
    if text is None:
        return Revision(None, None, None)
    own = Own("entry", _WHERE, {"hooks": [{"type": "command", "command": hook}]}, kept=0)
    after = changes.remove(text, own)
    after = changes.prune(after, [own]) if after != text else after
    if after != text:
        places.check_writable(path)
    return Revision(text, after, None)

"""Puts what agents need into a settings file, and takes exactly that out again.

Where nobody else has changed the file since, it becomes what it was to the byte, by undoing each change of its text; else what
is ours is looked for and taken out, and what is theirs stays.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from clawlog import exits
from clawlog.agents.installation import JsonEntry, JsonMember, TomlMember
from clawlog.cli.commands.install.record import MCP, Edited, Record, digest
from clawlog.cli.editing import changes, json_text, places, toml_text
from clawlog.cli.editing.changes import Edit, Own
from clawlog.cli.errors import CommandError, NotEditable
from clawlog.protocol.summary import mask_credentials

_CONTEXT_LINES = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an agent needs in a settings file."""

    agent: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Revision:
    """A settings file before and after; None where it is not there.

    Attributes:
        before: Its text.
        after: Its text afterwards.
        edited: What is recorded of it afterwards; None where nothing of ours is left in it.
    """

    before: str | None
    after: str | None
    edited: Edited | None


def installed(path: str, wanted: Sequence[Wanted], former: Edited | None) -> Revision:
    """Returns a file with what is wanted.

    Args:
        path: The file.
        wanted: All that these agents need in it.
        former: What was done to it before.

    Raises:
        NotEditable: It must be left alone.
    """
    text = places.read(path)
    agents = {each.agent for each in wanted}
    own = former.own if former is not None else ()
    obsolete = [each for each in own if each.agent in agents and not _is_wanted(each, wanted) and _is_replaced(each, wanted)]
    if text is not None and not obsolete and not any(_is_missing(text, each.edit) for each in wanted):
        return Revision(text, text, _with_found(former, text, wanted))
    if text is not None:
        places.check_writable(path)
    start = _start(path, text, former, wanted, obsolete)
    after, done = start.text, list(start.own)
    splices: list[changes.Splice] | None = [] if start.is_exact else None
    for each in start.wanted:
        after, added = _with(after, each, splices)
        if added is not None and not any(other.is_of(each.edit) for other in done):
            done.append(added)
    exact = None if splices is None else tuple(splices)
    return Revision(text, after, Edited(start.before, digest(after.encode()), tuple(done), exact, start.begun))


@dataclass(frozen=True, slots=True)
class _Start:
    """From where a file is edited: its text, the SHA-256 of before all edits, what is in it, what is to be put in."""

    text: str
    before: str | None
    own: tuple[Own, ...]
    wanted: Sequence[Wanted]
    begun: str | None = None
    is_exact: bool = True


def _start(path: str, text: str | None, former: Edited | None, wanted: Sequence[Wanted], obsolete: Sequence[Own]) -> _Start:
    if text is None:
        begun = changes.begun(wanted[0].edit)
        return _Start(begun, None, (), wanted, begun)
    if former is None:
        return _Start(text, digest(text.encode()), (), wanted)
    staying = tuple(each for each in former.own if each not in obsolete)
    if (original := _undone(text, former)) is not None:  # all of it is put in anew, so that it can be undone to the byte again
        again = [Wanted(each.agent, _edit_of(path, each)) for each in staying if not _is_wanted(each, wanted)]
        return _Start(original, former.before, (), [*again, *wanted], former.begun)
    return _Start(_without(text, obsolete), former.before, staying, wanted, former.begun, is_exact=False)


def uninstalled(path: str, former: Edited | None, agents: Collection[str], found: Sequence[Own] = ()) -> Revision:
    """Returns a file without what was put in for these agents.

    Args:
        path: The file.
        former: What was done to it; None where that is not known.
        agents: The agents' names.
        found: What else is ours in it, of which there is no record.

    Raises:
        NotEditable: It must be left alone.
    """
    text = places.read(path)
    if text is None:
        return Revision(None, None, None)
    own = former.own if former is not None else ()
    going, staying = [each for each in own if each.agent in agents], tuple(each for each in own if each.agent not in agents)
    after: str | None = None
    splices: list[changes.Splice] | None = None
    if former is not None and not found and (after := _undone(text, former)) is not None:
        if staying:  # all of it is taken out, and that put in anew, so that it can be undone to the byte later on
            splices, again = [], []
            for each in staying:
                after, own_again = _with(after, Wanted(each.agent, _edit_of(path, each)), splices)
                again.append(own_again or each)
            staying = tuple(again)
        elif former.before is None:
            after = None
    else:
        after = _without(text, [*going, *found])
        if former is not None and former.before is None and not staying and _is_as_begun(after, former):
            after = None
    if after != text:
        places.check_writable(path)
    edited = None
    if former is not None and staying:
        exact = None if splices is None else tuple(splices)
        edited = Edited(former.before, digest((after or "").encode()), staying, exact, former.begun)
    return Revision(text, after, edited)


def diff(path: str, revision: Revision) -> list[str]:
    """Returns the difference as lines, without credentials: they are to be shown, not to be applied."""
    before, after = (mask_credentials(each or "").splitlines() for each in (revision.before, revision.after))
    old, new = (path if text is not None else os.devnull for text in (revision.before, revision.after))
    return list(difflib.unified_diff(before, after, old, new, n=_CONTEXT_LINES, lineterm=""))


def to_paste(wanted: Sequence[Wanted]) -> list[str]:
    """Returns what a person would have to add to a file by hand, as lines."""
    text = ""
    for each in wanted:
        text, _ = changes.add(text, each.edit, each.agent)
    return text.splitlines()


@dataclass(slots=True)
class EditFile:
    """Edits a settings file.

    Attributes:
        path: The file.
        wanted: All that is to be in it; empty where what is ours is to go.
        agents: The agents' names.
        found: Where it is to go: what else is ours, of which there is no record.
        revision: What will be done.
    """

    path: str
    wanted: tuple[Wanted, ...]
    agents: frozenset[str]
    found: tuple[Own, ...]
    revision: Revision

    @classmethod
    def planned(
        cls,
        path: str,
        record: Record,
        *,
        wanted: Sequence[Wanted] = (),
        agents: Collection[str] = (),
        found: Sequence[Own] = (),
    ) -> EditFile:
        """Returns the action.

        Raises:
            NotEditable: The file must be left alone.
        """
        names = frozenset(agents) or frozenset(each.agent for each in wanted)
        action = cls(path, tuple(wanted), names, tuple(found), Revision(None, None, None))
        action.revision = action._revised(record)
        return action

    @property
    def changes_file(self) -> bool:
        """Whether the file is to be another one."""
        return self.revision.before != self.revision.after

    def check(self, record: Record) -> None:
        """Allows it: what must be left alone was said when it was planned."""

    def perform(self, record: Record) -> None:
        """Performs the action, on the file as it is now: an agent may have written it in between."""
        try:
            if places.read(self.path) != self.revision.before:
                self.revision = self._revised(record)
        except NotEditable as error:
            raise NotEditable(f"{self.path} was changed in between, and is left alone: {error}") from None
        if self.changes_file and self.revision.after is None:
            _remove(self.path)
            record.leave(self.path)
        elif self.changes_file:
            record.folders += places.write(self.path, self.revision.after or "")
        if self.revision.edited is None:
            record.edits.pop(self.path, None)
        else:
            record.edits[self.path] = self.revision.edited

    def describe(self) -> dict[str, object]:
        """Returns the action for programs."""
        return {
            "action": "edit",
            "path": self.path,
            "agents": sorted(each.removeprefix(MCP) for each in self.agents),
            "diff": diff(self.path, self.revision),
        }

    def lines(self) -> Sequence[str]:
        """Returns the action for people; nothing where the file stays as it is."""
        if not self.changes_file:
            return []
        return [f"edit    {self.path}", *(f"        {line}" for line in diff(self.path, self.revision))]

    def _revised(self, record: Record) -> Revision:
        former = record.edits.get(self.path)
        if self.wanted:
            return installed(self.path, self.wanted, former)
        return uninstalled(self.path, former, self.agents, self.found)


def _is_missing(text: str, edit: Edit) -> bool:
    """Whether something is to be put in; a member that has another value is the user's word."""
    found = changes.state(text, edit)
    return found == "missing" or (found == "different" and isinstance(edit, JsonEntry))


def _is_replaced(own: Own, wanted: Sequence[Wanted]) -> bool:
    """Whether what is not wanted any more has to go: a member may also be left out this time, and then it stays."""
    return own.kind == "entry" or any(own.where == each.edit.where for each in wanted)


def _is_wanted(own: Own, wanted: Sequence[Wanted]) -> bool:
    return any(own.is_of(each.edit) for each in wanted)


def _with(text: str, wanted: Wanted, splices: list[changes.Splice] | None) -> tuple[str, Own | None]:
    """Returns the text with one more thing, and what that was; each change of the text is added to the splices."""
    edit = wanted.edit
    own = Own.of(edit, kept=len(edit.where), agent=wanted.agent)
    steps = [text]
    if isinstance(edit, JsonEntry) and changes.state(text, edit) == "different":
        steps.append(changes.remove(text, own))
    if _is_missing(steps[-1], edit):
        after, own = changes.add(steps[-1], edit, wanted.agent)
        steps.append(after)
    elif not isinstance(edit, JsonEntry):
        return text, None
    if splices is not None:
        splices += [changes.splice(before, after) for before, after in pairwise(steps)]
    return steps[-1], own


def _with_found(former: Edited | None, text: str, wanted: Sequence[Wanted]) -> Edited | None:
    """Returns the record of a file that needs no change; entries that somebody has pasted are ours, too: they run our hook."""
    known = former or Edited(digest(text.encode()), digest(text.encode()))
    new = [
        Own.of(each.edit, kept=len(each.edit.where), agent=each.agent)
        for each in wanted
        if isinstance(each.edit, JsonEntry) and not any(own.is_of(each.edit) for own in known.own)
    ]
    if not new:
        return former
    return replace(known, own=(*known.own, *new), splices=None)


def _undone(text: str, former: Edited) -> str | None:
    """Returns the text as it was before all that is recorded, or as it was begun; None where it was changed since."""
    if former.splices is None or digest(text.encode()) != former.after:
        return None
    original = changes.undo(text, former.splices)
    if original is None or (former.before is not None and digest(original.encode()) != former.before):
        return None
    return original


def _without(text: str, own: Sequence[Own]) -> str:
    for each in reversed(own):
        text = changes.remove(text, each)
    return changes.prune(text, own)


def _is_as_begun(text: str, former: Edited) -> bool:
    """Whether nothing is left of a file that we made."""
    begun = former.begun or ""
    if any(own.kind == "toml" for own in former.own):
        return not toml_text.tree(text) and "#" not in text
    return bool(json_text.tree(text) in (json_text.tree(begun), {}))


def _edit_of(path: str, own: Own) -> Edit:
    """Returns the edit that puts the same in again."""
    if own.kind == "entry":
        return JsonEntry(path, own.where, own.value)
    return (TomlMember if own.kind == "toml" else JsonMember)(path, own.where, own.value)


def _remove(path: str) -> None:
    """Removes a file that was made here; of a link, what it leads to."""
    try:
        os.unlink(os.path.realpath(path))
    except OSError as error:
        raise CommandError(f"{path} cannot be removed: {error.strerror}", exits.UNAVAILABLE) from None

"""Which project and which branch a folder is in, read from the files of git, without starting a program.

Blocking: it is for a thread of its own. Whatever is not as expected is no checkout, never an error.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_MAX_LEVELS = 64  # how far up it is looked for
_MAX_BYTES = 4096
_ELSEWHERE = b"gitdir:"
_BRANCH = b"ref: refs/heads/"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder's project and branch.

    Attributes:
        project: The name of the repository's folder; of the main one, where the folder is in a worktree of it.
        branch: The branch; None where a commit is checked out without one.
    """

    project: str
    branch: str | None


def find_checkout(folder: str) -> Checkout | None:
    """The checkout that a folder is in.

    Args:
        folder: An absolute path.

    Returns:
        None where it is in none, or where that cannot be read.
    """
    try:
        return _find(folder)
    except (OSError, ValueError):  # not to be read; a NUL in a path
        return None


def _find(folder: str) -> Checkout | None:
    start = Path(os.path.normpath(folder))
    for place in islice((start, *start.parents), _MAX_LEVELS):
        git = place / ".git"
        try:
            mode = git.stat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode) and (head := _read(git / "HEAD")) is not None:
            return Checkout(_shown(place.name), _branch(head))
        if stat.S_ISREG(mode) and (found := _elsewhere(place, _read(git) or b"")) is not None:
            return found
    return None


def _elsewhere(place: Path, text: bytes) -> Checkout | None:
    """The checkout of a folder whose ``.git`` is a file that says where the rest is: a worktree, or a submodule."""
    if not text.startswith(_ELSEWHERE):
        return None
    git = place / os.fsdecode(text.removeprefix(_ELSEWHERE).strip())
    head = _read(git / "HEAD")
    if head is None:
        return None
    common = _read(git / "commondir")  # of a worktree alone
    if common is None:
        return Checkout(_shown(place.name), _branch(head))
    shared = Path(os.path.normpath(git / os.fsdecode(common.strip())))
    project = shared.parent.name if shared.name == ".git" else shared.name.removesuffix(".git")
    return Checkout(_shown(project), _branch(head))


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


def _branch(head: bytes) -> str | None:
    if not head.startswith(_BRANCH):
        return None
    return head.removeprefix(_BRANCH).strip().decode("utf-8", "replace")


def _read(path: Path) -> bytes | None:
    """The beginning of a file; None where there is none. Never waits, as the opening of a pipe would."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    try:
        return os.read(descriptor, _MAX_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)

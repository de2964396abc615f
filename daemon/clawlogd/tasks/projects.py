"""In which projects agents are at work: each may have a drop at its root, for calls that come out of a sandbox.

Files are looked at in a thread of its own: a project may lie on a disk that does not answer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from clawlog import locations
from clawlogd.logs import Log

_LOOK_S = 0.15
_MOST = 64  # of the newest; with a file name each that is little to look at


class Projects:
    """The roots of projects, the newest ones.

    Args:
        drop: Where in a project its drop is.

    Attributes:
        drops: Where each would have its drop, with what tells that from others, see ``mark_of``.
        with_drop: The paths of the drops that are there.
    """

    def __init__(self, drop: str) -> None:
        self._drop = drop
        self.drops: Mapping[str, str] = {}
        self.with_drop: Set[str] = frozenset()
        self._log = Log("projects")
        self._roots: dict[str, None] = {}
        self._folders: dict[str, None] = {}  # of which the root is to be found
        self._changed = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def note(self, folder: str | None) -> None:
        """Notes where an agent works: an absolute path."""
        if folder is not None and folder.startswith("/") and "\n" not in folder and len(self._folders) < _MOST:
            self._folders[folder] = None
            self._begin()

    def restore(self, drops: Iterable[str]) -> None:
        """Takes up what an earlier run knew."""
        ending = f"/{self._drop}"
        roots = [each.removesuffix(ending) for each in drops if each.startswith("/") and each.endswith(ending)]
        self._roots = dict.fromkeys(roots[-_MOST:])
        if self._roots:
            self._begin()

    def close(self) -> None:
        """Ends the thread; one that waits for a disk ends with the process."""
        self._ended = True
        self._changed.set()

    def _begin(self) -> None:
        self._changed.set()
        if self._thread is None:
            # Daemonic: the interpreter must not wait for a disk at its end.
            self._thread = threading.Thread(target=self._work, name="projects", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._ended:
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - the thread is there for the next look
                self._log.warning_seldom("projects_unread", error=repr(error))
            self._changed.wait(_LOOK_S)
            self._changed.clear()

    def _look(self) -> None:
        for folder in list(self._folders):
            root = locations.project_root(folder) or folder
            newest = {**{each: None for each in self._roots if each != root}, root: None}
            self._roots = dict.fromkeys(list(newest)[-_MOST:])
            self._folders.pop(folder, None)
        paths = [f"{root}/{self._drop}" for root in self._roots]
        self.drops = {path: mark_of(path) for path in paths}
        self.with_drop = frozenset(each for each in paths if os.path.lexists(each))


def mark_of(path: str) -> str:
    """What tells a drop from another that a program may see by the same path; ``-`` where it could not be emptied from here."""
    return locations.drop_mark(path) if os.access(Path(path).parent, os.W_OK) else "-"

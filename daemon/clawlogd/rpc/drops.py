"""The drops: folders through which calls come out of sandboxes, where neither the socket nor the spool can be reached.

Which they are is told in ``run/drops`` of the state folder, which programs in a sandbox can read; that the file is renewed
shows them that a daemon is there. Nothing announces a new file, so the folders' times are looked at several times a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clawlog import locations
from clawlogd.logs import Log
from clawlogd.rpc.spool import Spool
from clawlogd.rpc.spool_folder import SpoolFolder
from clawlogd.tasks.projects import Projects, mark_of

_LOOK_S = 0.1
_RENEW_S = 2.0


class Drops:
    """The drops that this daemon empties.

    Args:
        env: The environment variables that name folders.
        state_dir: The state folder.
        spool: What drains them.
        projects: The projects that have one.
        monotonic: The time.
    """

    def __init__(
        self, *, env: Mapping[str, str], state_dir: Path, spool: Spool, projects: Projects, monotonic: Callable[[], float]
    ) -> None:
        self._spool = spool
        self._projects = projects
        self._path = state_dir / locations.DROPS_NAME
        self._monotonic = monotonic
        self._log = Log("drops")
        self._fixed = [SpoolFolder(each, is_drop=True) for each in _places(env, locations.drop_key(str(state_dir)))]
        self._of_projects: dict[str, SpoolFolder] = {}
        self._told: Sequence[str] | None = None
        self._renew_at = 0.0

    def resume(self) -> None:
        """Takes up the projects of an earlier run, and has all folders drained from now on."""
        try:
            known = os.fsdecode(locations.read_file(str(self._path))).splitlines()
        except OSError:
            known = []
        self._projects.restore([line.partition(" ")[2] for line in known])
        self._update()

    async def run(self) -> None:
        """Looks after them until cancelled."""
        while True:
            if await self._until_due():
                await self._spool.open()
                self._renew_at = 0.0  # of a drop that was just made the mark is known now
            if self._monotonic() >= self._renew_at:
                self._renew()

    async def _until_due(self) -> bool:
        """Looks until there is something to do; whether that is of the spool.

        By a bare timer, since nearly all looks of a quiet daemon find nothing.
        """
        loop = asyncio.get_running_loop()
        due: asyncio.Future[bool] = loop.create_future()

        def look() -> None:
            if due.done():
                return
            try:
                self._update()
                closed = self._spool.closed
            except Exception as error:  # noqa: BLE001 - whoever waits has to get it
                due.set_exception(error)
                return
            if closed or self._monotonic() >= self._renew_at:
                due.set_result(closed)
            else:
                loop.call_later(_LOOK_S, look)

        loop.call_later(_LOOK_S if self._renew_at else 0.0, look)
        return await due

    def close(self) -> None:
        """Says that no daemon is there any more."""
        try:
            os.utime(self._path, (0, 0))
        except OSError:
            return

    def _update(self) -> None:
        """Has the drops of those projects drained that have one."""
        present = self._projects.with_drop
        if present != self._of_projects.keys() or self._told is None:
            kept = {path: self._of_projects.get(path) or SpoolFolder(path, is_drop=True) for path in present}
            self._of_projects = kept
            self._spool.set_drops([*self._fixed, *kept.values()])

    def _lines(self) -> list[str]:
        """A line for each: what tells it from others, and where it is."""
        marks = {**{each.path: mark_of(each.path) for each in self._fixed}, **self._projects.drops}
        return [f"{mark} {path}" for path, mark in marks.items()]

    def _renew(self) -> None:
        """Writes the file where what it says has changed, else its time alone."""
        lines, draft = self._lines(), self._path.with_name(f"{self._path.name}.draft")
        self._renew_at = self._monotonic() + _RENEW_S
        try:
            if lines == self._told:
                os.utime(self._path)
                return
            draft.unlink(missing_ok=True)
            with draft.open("xb") as file:
                file.write(b"".join(os.fsencode(each) + b"\n" for each in lines if "\n" not in each))
            draft.replace(self._path)
            self._told = lines
        except OSError as error:
            self._told = []  # to be written anew
            self._log.warning_seldom("drops_not_told", path=str(self._path), error=str(error))


def _places(env: Mapping[str, str], key: str) -> list[str]:
    """The folders outside of projects: the client's own, and those of an agent that gives its sandbox a $TMPDIR of its own."""
    uid = os.geteuid()
    found = locations.drop_places(env, key)
    for temporary in (env.get("TMPDIR", "").rstrip("/"), "/tmp"):  # noqa: S108 - whose it is, is checked
        if temporary.startswith("/"):
            found += locations.drop_places({"TMPDIR": f"{temporary}/claude-{uid}"}, key)
    return list(dict.fromkeys(found))

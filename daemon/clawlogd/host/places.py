"""Are the daemon's sockets and its state still where they were? A log-in manager, a clean-up or a mistake may take them away.

Each is looked at by device and inode, for a name alone proves nothing. A socket that is gone is bound anew; connections that
exist live on. One that another process has put in its place is left alone. A service manager does not notice that a socket
which it passed on has lost its path, so that is bound anew, too, where the daemon may; the manager's own serves again once its
unit is restarted. Of a lost state folder the outbox itself says that nothing is accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from clawlogd.instance import AlreadyRunningError, InstanceError, is_dead
from clawlogd.logs import Log
from clawlogd.text import path_text

Rebind = Callable[[], Awaitable[None]]
"""Binds a socket anew; raises ``InstanceError`` where that cannot be done."""


_UNSEEN = (-1, -1)
_MANAGERS = "it is the service manager's: systemctl restart clawlogd.socket has that bind it anew"


class BoundPath:
    """The path of a socket that this daemon serves.

    Args:
        path: The path.
        rebind: Binds another there, and serves it, too.
        passed: Whether the service manager has bound it. It may have lost its path before this daemon began.

    Attributes:
        problem: Why nobody reaches the daemon there, if that is so.
    """

    def __init__(self, path: Path, rebind: Rebind, *, passed: bool = False) -> None:
        self.path = path
        self.problem: str | None = None
        self._rebind = rebind
        self._passed = passed
        self._socket = None if passed and is_dead(path) else _found(path)
        self._taken = False
        self._log = Log("places")

    @property
    def is_ours(self) -> bool:
        """Whether the path still leads to this daemon's socket, as far as can be seen."""
        return self._socket is not None and _found(self.path) == self._socket

    async def check(self) -> None:
        """Binds the socket anew if it is gone. One that cannot be looked at, in another's folder, is not taken for gone."""
        if self.is_ours:
            return
        if _found(self.path) == _UNSEEN:
            self.problem = f"its socket cannot be looked at any more: the folder of {path_text(self.path)} lets it in no longer"
            return
        try:
            await self._rebind()
        except AlreadyRunningError as error:
            if not self._taken:
                self._log.error("socket_taken", path=str(self.path), error=str(error))
            self._taken, self.problem = True, f"another has put its own socket in the place of this daemon's: {error}"
        except InstanceError as error:
            self.problem = f"its socket is lost, and cannot be bound anew: {error}"
            if self._passed:
                self.problem += f"; {_MANAGERS}"
            self._log.warning_seldom("socket_not_bound", path=str(self.path), error=self.problem)
        else:
            remedy = f"bound anew until this daemon ends; {_MANAGERS}" if self._passed else "bound anew"
            self._socket, self._taken, self._passed, self.problem = _found(self.path), False, False, None
            self._log.warning("socket_lost", path=str(self.path), remedy=remedy)

    def remove(self) -> None:
        """Removes the path, at the end, unless it is the service manager's, or another has put something in its place."""
        if self.is_ours and not self._passed:
            self.path.unlink(missing_ok=True)


class Places:
    """All of them.

    Args:
        check_state: Has the outbox look whether its file is still there.
        note: Called with why callers do not reach the daemon where they should, if that is so.
    """

    def __init__(self, check_state: Callable[[], Awaitable[None]], note: Callable[[list[str]], None]) -> None:
        self._check_state = check_state
        self._note = note
        self._paths: list[BoundPath] = []

    def add(self, path: Path, rebind: Rebind, *, passed: bool = False) -> BoundPath:
        """Looks after one more socket, from now on."""
        bound = BoundPath(path, rebind, passed=passed)
        self._paths.append(bound)
        return bound

    async def check(self) -> None:
        """Looks at each, and mends what can be."""
        for bound in self._paths:
            await bound.check()
        self._note([bound.problem for bound in self._paths if bound.problem is not None])
        await self._check_state()


def _found(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at a path: ``_UNSEEN`` where that cannot be seen, None where nothing is there."""
    try:
        found = path.lstat()
    except PermissionError:
        return _UNSEEN
    except OSError:
        return None
    return found.st_dev, found.st_ino

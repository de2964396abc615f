"""Are the daemon's sockets and its state still where they were? A log-in manager, a clean-up or a mistake may take them away.

Each is looked at by device and inode, for a name alone proves nothing. A socket that is gone is bound anew; connections that
exist live on. One that another process has put in its place is left alone. Of a lost state folder the outbox itself says that
nothing is accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from clawlogd.instance import AlreadyRunningError, InstanceError
from clawlogd.logs import Log

Rebind = Callable[[], Awaitable[None]]
"""Binds a socket anew; raises ``InstanceError`` where that cannot be done."""


class BoundPath:
    """The path of a socket that this daemon has bound.

    Args:
        path: The path.
        rebind: Binds another there, and serves it, too.
    """

    def __init__(self, path: Path, rebind: Rebind) -> None:
        self.path = path
        self._rebind = rebind
        self._socket = _found(path)
        self._taken = False
        self._log = Log("places")

    @property
    def is_ours(self) -> bool:
        """Whether the path still leads to this daemon's socket."""
        return self._socket is not None and _found(self.path) == self._socket

    async def check(self) -> None:
        """Binds the socket anew if it is gone."""
        if self.is_ours:
            return
        try:
            await self._rebind()
        except AlreadyRunningError as error:
            if not self._taken:
                self._log.error("socket_taken", path=str(self.path), error=str(error))
            self._taken = True
        except InstanceError as error:
            self._log.warning_seldom("socket_not_bound", path=str(self.path), error=str(error))
        else:
            self._socket, self._taken = _found(self.path), False
            self._log.warning("socket_lost", path=str(self.path), remedy="bound anew")

    def remove(self) -> None:
        """Removes the path, at the end, unless another has put something in its place."""
        if self.is_ours:
            self.path.unlink(missing_ok=True)


class Places:
    """All of them.

    Args:
        check_state: Has the outbox look whether its file is still there.
    """

    def __init__(self, check_state: Callable[[], Awaitable[None]]) -> None:
        self._check_state = check_state
        self._paths: list[BoundPath] = []

    def add(self, path: Path, rebind: Rebind) -> BoundPath:
        """Looks after one more socket, from now on."""
        bound = BoundPath(path, rebind)
        self._paths.append(bound)
        return bound

    async def check(self) -> None:
        """Looks at each, and mends what can be."""
        for bound in self._paths:
            await bound.check()
        await self._check_state()


def _found(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

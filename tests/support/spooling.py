"""What programs do while no daemon can be reached: they write their calls down, as the scripts do."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from clawlog import spool as program_side
from clawlog.protocol import ids, spool


def keep(state_dir: Path, method: str, **params: Any) -> dict[str, Any]:
    """Writes one call down in the spool of a state folder; the result is what the program gets in a daemon's place."""
    (result,) = program_side.keep([(method, {"event_id": ids.new_uuid(), **params})], {"CLAWLOG_STATE_DIR": str(state_dir)})
    return dict(result)


def files(state_dir: Path, folder: str = "spool") -> list[str]:
    """The names of the spool's files, in order."""
    return sorted(path.name for path in (state_dir / folder).glob(f"*{spool.SUFFIX}*"))


class FullDisk:
    """Makes writes of a process fail as on a full disk: files may not grow beyond what they have now.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """No more can be written."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, self._before[1]))

    def make_room(self) -> None:
        """There is space again."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


def owner_of(path: Path) -> int:
    """The user to whom something belongs, whatever it links to."""
    return os.lstat(path).st_uid

"""Keeps a session's plan where its agent says but one step at a time: in ``run/agent-plans/AGENT/SESSION`` of the state folder.

Several calls of the hook run side by side and may overtake each other: the file is locked until what it says was sent, and of
two words on one step's status the later one holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from clawlog import locations
from clawlog.agents.agent import PlannedStep, StepChange
from clawlog.protocol import agents, vocabulary
from clawlog.protocol.types import StepStatus

FOLDER = "agent-plans"
_MAX_BYTES = 1 << 20
_MAX_STEPS = 2 * vocabulary.MAX_STEPS
_KEPT_S = 30 * 24 * 3600.0
"""How long the plan of a session that never said its end is kept."""


@dataclass(slots=True)
class _Step:
    title: str | None = None
    titled_at: float = 0.0
    status: StepStatus = "pending"
    status_at: float = 0.0
    is_removed: bool = False


@contextlib.contextmanager
def changed(
    state_dir: str, agent: str, session_id: str, change: StepChange, at: float
) -> Iterator[tuple[PlannedStep, ...] | None]:
    """Changes one step; the context's value is the whole plan afterwards.

    It is None where the plan cannot be kept, or where no step's title is known.

    Args:
        state_dir: The daemon's state folder.
        agent: The agent's name.
        session_id: The session.
        change: What the agent says.
        at: When it said so, in seconds since 1970.
    """
    try:
        descriptor = _open(state_dir, agent, session_id)
    except (OSError, locations.Unfit):
        yield None
        return
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        steps = _load(file.read(_MAX_BYTES))
        _apply(steps, change, at)
        if len(steps) > _MAX_STEPS:
            yield None
            return
        file.seek(0)
        file.truncate()
        file.write(json.dumps({key: asdict(step) for key, step in steps.items()}).encode("ascii"))
        file.flush()
        titled = [step for _, step in sorted(steps.items(), key=lambda item: _position(item[0])) if step.title is not None]
        # Of a session whose plan was begun before the hook was there, no step's title is known.
        plan = tuple(PlannedStep(step.title or "", step.status) for step in titled if not step.is_removed)
        yield plan if titled else None


def forget(state_dir: str, agent: str, session_id: str) -> None:
    """Removes a session's plan, and those of sessions that never said their end."""
    folder = os.path.join(state_dir, "run", FOLDER, agent)
    oldest = time.time() - _KEPT_S
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, agents.session_file(session_id)))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)


def _open(state_dir: str, agent: str, session_id: str) -> int:
    folder = state_dir
    locations.private_folder(folder)
    for name in ("run", FOLDER, agent):
        folder = os.path.join(folder, name)
        locations.private_folder(folder)
    return locations.open_own_file(os.path.join(folder, agents.session_file(session_id)), os.O_RDWR)


def _load(content: bytes) -> dict[str, _Step]:
    try:
        return {str(key): _Step(**step) for key, step in json.loads(content or b"{}").items()}
    except (AttributeError, TypeError, ValueError):  # torn, or another version's: what comes next fills it anew
        return {}


def _apply(steps: dict[str, _Step], change: StepChange, at: float) -> None:
    step = steps.setdefault(change.key, _Step())
    if change.title is not None and at >= step.titled_at:
        step.title, step.titled_at = change.title[: vocabulary.MAX_TITLE_CHARS], at
    if change.status is not None and at >= step.status_at:
        step.status, step.status_at = change.status, at
    step.is_removed |= change.is_removed


def _position(key: str) -> tuple[int, str]:
    """Its plan tools number the steps."""
    return (int(key) if key.isascii() and key.isdecimal() and len(key) < 10 else 1 << 31, key)

"""A command alone, and the same command under ``clawlog run``: what it inherits and what comes back has to be the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.installation import CLAWLOG, Installation

LIMIT_S = 30.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its wait status as ``subprocess`` tells it, and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes


def wrapped(command: Sequence[str | bytes], *options: str) -> list[str | bytes]:
    """The command under ``clawlog run``."""
    return [*CLAWLOG, "run", *options, "--", *command]


def ended(
    place: Installation,
    command: Sequence[str | bytes],
    *,
    setup: Callable[[], None] | None = None,
    env: Mapping[Any, Any] | None = None,
    **options: Any,
) -> Ended:
    """Runs a command to its end.

    Args:
        place: Whose environment it gets.
        command: The command.
        setup: Called in its process before it is started: what it is to inherit.
        env: Its environment, in place of the place's.
        options: More for ``subprocess.run``.
    """
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    given |= {"timeout": LIMIT_S, **options}
    ran = subprocess.run(command, env=place.env if env is None else env, preexec_fn=setup, check=False, **given)
    return Ended(ran.returncode, ran.stdout or b"", ran.stderr or b"")


def both(place: Installation, command: Sequence[str | bytes], **options: Any) -> tuple[Ended, Ended]:
    """The command alone, and under ``clawlog run``."""
    return ended(place, command, **options), ended(place, wrapped(command), **options)

"""A user's set-up: what the environment variables say, found once for all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from clawlog import autostart, locations


@dataclass(frozen=True, slots=True)
class Environment:
    """A user's set-up.

    Attributes:
        variables: The environment variables.
        program: The path of ``clawlogd``, if it is installed.
        state_dir: The state folder, which need not exist.
        address: The daemon's address, in the form of ``CLAWLOG_SOCKET``.
    """

    variables: Mapping[str, str]
    program: str | None
    state_dir: str
    address: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Self:
        """Returns the set-up that these variables describe."""
        return cls(env, autostart.find_program(env), locations.state_dir(env), locations.socket_address(env))

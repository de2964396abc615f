"""Where agents have their settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from clawlog import locations


def in_home(name: str, variable: str | None = None) -> Callable[[Mapping[str, str]], str]:
    """Returns an agent's ``folder``: the one that a variable names, else one in the user's home folder.

    Args:
        name: Its name there.
        variable: The variable by which the agent lets people choose another one.
    """

    def folder(env: Mapping[str, str]) -> str:
        if variable is not None and (chosen := env.get(variable)):
            return os.path.abspath(chosen)
        return os.path.join(locations.home(env), name)

    return folder

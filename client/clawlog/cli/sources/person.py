"""Who asks: the name that a backend keeps with a stop, a close or an acknowledgement."""

from __future__ import annotations

import getpass


def name() -> str | None:
    """Returns the user's name; None where the system has none for this user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None

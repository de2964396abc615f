"""What is said of an exception, whoever's it is."""

from __future__ import annotations


class Unseen(Exception):  # noqa: N818 - it is none of ours
    """An exception of which no more is known than that it was there; its text says so."""


def describe(error: BaseException) -> str:
    """Returns an exception's type and the first line of its message, fit to be sent, whatever its message is."""
    if isinstance(error, Unseen):
        return str(error)
    try:
        first_line = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - it is somebody else's code
        first_line = ""
    line = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return line.encode("utf-8", "replace").decode()

"""What a command raises when it fails; ``main`` prints it and exits with its status.

::

    CommandError
    ├── ServerFailed         the daemon or the embedded backend could not be started, or ended unexpectedly
    ├── NotEditable          a settings file of somebody else cannot be edited safely
    ├── BackendUnreachable   a backend did not answer
    └── BackendRefused       a backend answered, and declined

Errors of the client library (``clawlog.errors``) are not wrapped.
"""

from __future__ import annotations

from clawlog import exits
from clawlog.errors import BadAddress, ClawlogError, Refused


class CommandError(Exception):
    """A command failed; the text says what is wrong and what to do.

    Attributes:
        status: The exit status.
    """

    status = exits.FAILED

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class ServerFailed(CommandError):  # noqa: N818 - it says what happened, as the names of clawlog.errors do
    """A server could not be started, or ended unexpectedly."""

    status = exits.UNAVAILABLE


class NotEditable(CommandError):  # noqa: N818 - as above
    """A settings file cannot be edited safely; it is left alone. The text says why, and fits after the file's name."""

    status = exits.REFUSED


class BackendUnreachable(CommandError):  # noqa: N818 - as above
    """A backend did not answer."""

    status = exits.UNAVAILABLE


class BackendRefused(CommandError):  # noqa: N818 - as above
    """A backend answered, and declined.

    Attributes:
        code: The HTTP status.
        date: The backend's time, in HTTP's format.
    """

    status = exits.REFUSED

    def __init__(self, message: str, code: int, date: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.date = date


def status_of(error: CommandError | ClawlogError) -> int:
    """Returns the exit status of what a command raised."""
    match error:
        case CommandError():
            return error.status
        case Refused():
            return exits.REFUSED
        case BadAddress():
            return exits.USAGE
        case _:
            return exits.UNAVAILABLE

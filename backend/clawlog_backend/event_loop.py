"""Which event loop the backend runs on: uvloop where it is installed and nobody says otherwise, else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clawlog_backend.settings import SettingsError

CHOICES = ("auto", "asyncio", "uvloop")


def factory_of(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None for asyncio's own.

    Args:
        wanted: One of ``CHOICES``.

    Raises:
        SettingsError: uvloop is wanted, and cannot be imported.
    """
    if wanted == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError as error:
        if wanted != "uvloop":
            return None
        raise SettingsError(
            f'--loop: uvloop cannot be imported ({error}); install the extra "fast", or choose "auto" or "asyncio"'
        ) from None
    return uvloop.new_event_loop

"""Which event loop the daemon runs on: uvloop where it is installed and nobody says otherwise, else asyncio's own.

Nothing else may depend on which it is: all that is used of a loop is what asyncio documents.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from clawlogd.settings import SettingsError

if TYPE_CHECKING:  # a refused setting and --help answer without loading it
    from asyncio import AbstractEventLoop

UVLOOP = "uvloop"


def factory_of(wanted: str) -> Callable[[], AbstractEventLoop] | None:
    """What makes the event loop; None for asyncio's own.

    Args:
        wanted: ``auto``, ``asyncio`` or ``uvloop``, as the setting ``loop`` has it.

    Raises:
        SettingsError: uvloop is wanted, and cannot be imported.
    """
    if wanted == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError as error:
        if wanted != UVLOOP:
            return None
        raise SettingsError(
            f'loop: uvloop cannot be imported ({error}); install the extra "fast", or set loop to "auto" or "asyncio"'
        ) from None
    return uvloop.new_event_loop


def running_name() -> str:
    """The event loop that runs, for people: ``asyncio``, or ``uvloop`` and its version."""
    import asyncio  # noqa: PLC0415 - see above

    if not type(asyncio.get_running_loop()).__module__.startswith(UVLOOP):
        return "asyncio"
    return f"{UVLOOP} {sys.modules[UVLOOP].__version__}"

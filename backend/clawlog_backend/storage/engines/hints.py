"""Hints from one replica to the others that there is something new: LISTEN and NOTIFY, where the server has them.

The table of changes is the truth, and is looked at every so often whether there was a hint or not. So one that is lost costs a
moment, and a server, or a pooler before it, that knows none of this costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

CHANNEL: Final = "clawlog_changes"
_AGAIN_S = 10.0

log = logging.getLogger(__name__)


async def listen(connect: Mapping[str, Any], on_hint: Callable[[str], None]) -> None:
    """Call a function with the sender of each hint, until cancelled. While the database is away there are none.

    Args:
        connect: How to connect, as libpq names it.
        on_hint: It must neither fail nor wait.
    """
    import psycopg  # noqa: PLC0415 - of the extra [postgres]

    while True:
        try:
            async with await psycopg.AsyncConnection.connect(**connect, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                async for hint in connection.notifies():
                    on_hint(hint.payload)
        except psycopg.errors.FeatureNotSupported as error:
            log.info("the database gives no hints of changes, which are looked for all the same: %s", error)
            return
        except psycopg.Error as error:
            log.debug("no hints of changes for now: %s", error)
        await asyncio.sleep(_AGAIN_S)

"""Reads a backend's document, once a day, on a connection and a timer of its own: nothing that is delivered waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio

from clawlogd.logs import Log
from clawlogd.upstream.answers import Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.document import Document, read_document

_AGAIN_S = 24 * 3600.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0


class DocumentReader:
    """One backend's document.

    Args:
        base_url: The backend's address.
        open_upstream: Makes the backend's connections; they are closed when each reading is over.

    Attributes:
        document: What it says; None while it has not been read, or where there is none.
    """

    def __init__(self, base_url: str, open_upstream: Callable[[], Upstream]) -> None:
        self._open_upstream = open_upstream
        self._log = Log("document", backend=base_url)
        self._retry = asyncio.Event()
        self.document: Document | None = None

    def retry_now(self) -> None:
        """Asks anew now, where the document is not known: there is reason to think that the backend is there."""
        if self.document is None:
            self._retry.set()

    async def run(self) -> None:
        """Reads until cancelled: the document once a day, and while there is no answer after growing pauses."""
        pause_s = _FIRST_PAUSE_S
        while True:
            if await self._read():
                wait_s, pause_s = _AGAIN_S, _FIRST_PAUSE_S
            else:
                wait_s, pause_s = pause_s, min(pause_s * 2, _LONGEST_PAUSE_S)
            self._retry.clear()
            with anyio.move_on_after(wait_s):
                await self._retry.wait()

    async def _read(self) -> bool:
        """Asks once. Returns whether there was an answer, be it that there is no document."""
        upstream = self._open_upstream()
        try:
            answer = await upstream.get_document()
        finally:
            with anyio.CancelScope(shield=True):  # also when the reading is cancelled: no connection is left open
                await upstream.close()
        if answer.outcome is Outcome.DELIVERED:
            self.document = read_document(answer.body)
        elif answer.outcome is Outcome.REFUSED:
            self.document = None
        self._log.debug("document", outcome=answer.outcome.value, detail=answer.detail)
        return answer.outcome in {Outcome.DELIVERED, Outcome.REFUSED}

"""The composition root: builds the parts, hands each its collaborators, and starts and stops them in order."""

from typing import Self

from fastapi import Request

from clawlog_backend import store
from clawlog_backend.control import ControlPolls
from clawlog_backend.database import Database, DatabaseError, database_url
from clawlog_backend.settings import Settings
from clawlog_backend.store import Applied
from clawlog_backend.times import Clock, UtcMs
from clawlog_backend.writer import Writer


class Backend:
    """The running parts, as the routes use them.

    Args:
        settings: How to run.
        clock: What time it is.
    """

    def __init__(self, settings: Settings, *, clock: Clock = UtcMs.now) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url(settings.database))
        self.writer = Writer(database=self.database, clock=clock, on_applied=self._applied)
        self.polls = ControlPolls(database=self.database, writer=self.writer, max_waiting=settings.max_polls)

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            DatabaseError: It cannot be used.
        """
        try:
            await self.database.open()
            self.writer.position = await self.database.read(store.position)
        except DatabaseError:
            await self.database.close()
            raise
        return self

    def release_waiters(self) -> None:
        """Let go of everyone who waits for something to happen, so that the server can end."""
        self.polls.close()

    async def __aexit__(self, *_exception: object) -> None:
        """Finish what was accepted, and close the database."""
        self.release_waiters()
        await self.database.close()

    def _applied(self, applied: Applied) -> None:
        self.polls.notify(applied.controls)


async def backend_of(request: Request) -> Backend:
    """The backend behind a request (for ``Depends``)."""
    backend = request.app.state.backend
    assert isinstance(backend, Backend)  # noqa: S101 -- put there by create_app
    return backend

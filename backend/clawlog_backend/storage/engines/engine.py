"""What the backend asks of a database engine, whichever it is. No engine's own words here.

A piece of work is a function of a connection. It runs off the event loop, in one transaction; what it reads is one state of the
database. Nothing of a write that failed is left, so that its work may be run again as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class DatabaseError(Exception):
    """The database cannot be opened or used; the text says which one, why, and what to do."""


@dataclass(frozen=True, slots=True)
class SchemaVersions:
    """The schema's version in a database and in this program.

    Attributes:
        found: The database's; ``None`` where it has no tables yet.
        known: The newest that this program knows.
        lacking: What the database does without, and how it would get that; empty where there is nothing.
    """

    found: int | None
    known: int
    lacking: str = ""

    @property
    def outdated(self) -> bool:
        """Whether the database is of an earlier version."""
        return self.found is not None and self.found < self.known


class Database(Protocol):
    """An engine's database, as the rest of the backend uses it.

    Attributes:
        shared: Whether other replicas may write to it at the same time. Where none can, what this process remembers of a task
            is what is stored, and every change passes through it.
    """

    @property
    def shared(self) -> bool:
        """See above."""

    async def open(self) -> None:
        """Connect, and see that the schema is of this version.

        Raises:
            DatabaseError: It cannot be used.
        """

    async def migrate(self, *, check: bool) -> SchemaVersions:
        """Bring the schema to this version, or make it, instead of opening; nothing else may be called but :meth:`close`.

        Args:
            check: Change nothing; only look.

        Returns:
            The versions as they were before.

        Raises:
            DatabaseError: It cannot be used, or is of a later version.
        """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a query. It sees every write that was acknowledged before, here or by another replica.

        Raises:
            DatabaseError: It could not be read.
        """

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, and return once it is on disk.

        The engine may run it several times, each time in a new transaction: it must not keep anything of a run that failed.

        Raises:
            DatabaseError: It could not be written; nothing of it was, or it is not known whether it was (the connection was
                lost while it was committed).
        """

    async def discard(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only removes what nobody will miss, in one transaction: after a power cut it may be back.

        So nobody who writes has to wait until it is on disk. Like :meth:`write`, it may be run several times.

        Raises:
            DatabaseError: It could not be written.
        """

    async def checkpoint(self) -> float:
        """Have what was written until now put in its place, where the engine else leaves that to whoever commits next.

        Returns:
            How long others waited for that at most, in seconds.

        Raises:
            DatabaseError: It could not be done.
        """

    async def hint(self, sender: str) -> None:
        """Let other replicas know that there is something new, where the engine has a way; it may get lost.

        Raises:
            DatabaseError: It could not be sent.
        """

    async def hear_hints(self, on_hint: Callable[[str], None]) -> None:
        """Call a function with the sender of each hint, until cancelled, or as long as the engine has a way."""

    def announce(self, address: str) -> None:
        """Let whoever else would use this database know where its backend is."""

    def note(self, store_id: str, seq: int) -> None:
        """Note how far the log of changes has come, beside the database: so that a copy that is brought back is known for one.

        Args:
            store_id: The database's identity.
            seq: The number of a change that is on disk.
        """

    async def close(self) -> None:
        """Finish what was submitted, and disconnect."""

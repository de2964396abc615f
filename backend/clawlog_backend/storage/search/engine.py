"""What an engine does for a search: it finds the tasks whose document holds a needle. All else is the same on every engine."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, Select, select

from clawlog_backend.storage.schema import documents
from clawlog_backend.storage.search import postgresql, sqlite


class TextIndex(Protocol):
    """An index of ``documents``, which follows that table by itself, in the same transaction.

    Attributes:
        newest_first: Whether its candidates come in the order of their numbers, the highest first, without being sorted.
    """

    @property
    def newest_first(self) -> bool:
        """See above."""

    def create(self, connection: Connection) -> None:
        """Make the index. The table is there, and empty."""

    def candidates(self, needle: str) -> Select[Any]:
        """The numbers of the tasks whose document may hold a needle: all that do, and few that do not."""


class _Plain:
    """No index: every document is looked at."""

    newest_first = False

    def create(self, connection: Connection) -> None:
        """Nothing to make."""

    def candidates(self, needle: str) -> Select[Any]:
        """All tasks."""
        del needle
        return select(documents.c.task_n)


_ENGINES: dict[str, TextIndex] = {"sqlite": sqlite.Trigrams(), "postgresql": postgresql.Trigrams()}


def text_index(dialect: Dialect) -> TextIndex:
    """The index of an engine; where none is known here, one that looks at every document."""
    return _ENGINES.get(dialect.name, _Plain())

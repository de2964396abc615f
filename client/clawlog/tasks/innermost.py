"""Which task, and which step, a line of code is in: context variables, so that threads and asyncio's tasks each have theirs."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """One block that was entered.

    Attributes:
        item: What it is about.
        outer: The block around it.
        is_open: Whether it has not been left yet.
    """

    item: T
    outer: Entry[T] | None
    is_open: bool = True
    token: Token[Entry[T] | None] | None = None


class Innermost(Generic[T]):
    """The blocks of one kind, of which each context sees the innermost that it is in.

    Args:
        name: The context variable's.
    """

    def __init__(self, name: str) -> None:
        self._entry: ContextVar[Entry[T] | None] = ContextVar(name, default=None)

    def enter(self, item: T) -> Entry[T]:
        """Enters a block; ``leave`` takes what is returned."""
        entry = Entry(item, self._open())
        entry.token = self._entry.set(entry)
        return entry

    def leave(self, entry: Entry[T]) -> None:
        """Leaves a block, also from another context (a generator is collected where it may), and also twice."""
        entry.is_open = False
        token, entry.token = entry.token, None
        if token is not None:
            with contextlib.suppress(ValueError, RuntimeError):
                self._entry.reset(token)

    def get(self) -> T | None:
        """Returns what the innermost open block is about; None outside of all."""
        entry = self._open()
        return None if entry is None else entry.item

    def _open(self) -> Entry[T] | None:
        entry = self._entry.get()
        while entry is not None and not entry.is_open:
            entry = entry.outer
        return entry

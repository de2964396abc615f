"""A task's metadata as a mapping that reports what is changed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any


class Metadata(MutableMapping[str, str]):
    """A task's own pairs: changes are reported at once, and ``update`` reports all of its pairs as one.

    It holds what this program knows of; others may have added more.

    Args:
        report: Reports changed pairs; None removes one.
        give_up: Takes note of a change that cannot be reported at all.
    """

    def __init__(self, report: Callable[[Mapping[str, str | None]], None], give_up: Callable[[Exception], None]) -> None:
        self._report = report
        self._give_up = give_up
        self._pairs: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        return self._pairs[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        self._pairs.pop(key, None)
        self._report({key: None})

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return repr(self._pairs)

    def update(self, *changes: Any, **more: Any) -> None:
        """Changes several pairs with one report. A value that is no text is written as ``str`` shows it."""
        try:
            given = dict(*changes, **more)
            pairs = {key: value if isinstance(value, str) else str(value) for key, value in given.items()}
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._give_up(error)
            return
        self._pairs.update(pairs)
        self._report(dict(pairs))

    def know(self, pairs: Mapping[str, str]) -> None:
        """Takes over pairs that the daemon has already."""
        self._pairs.update(pairs)

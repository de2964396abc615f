"""The database engines that tests run on, and what it takes to run a test on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BOTH_ENGINES = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))], indirect=True
)
"""Runs a test of the backend on each engine: those of the contract, of stops and of streams, where engines could differ."""


@contextmanager
def database_on(engine: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database without tasks, as `--database` names it."""
    if engine == "sqlite":
        yield str(folder / "backend.db")
        return
    cluster = request.getfixturevalue("postgres")
    url = cluster.database()
    yield url
    cluster.give_back(url)

"""The database engines that tests run on, and what it takes to run a test on each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.xdist_group("postgres"))

BOTH_ENGINES = pytest.mark.parametrize("database", ["sqlite", POSTGRESQL], indirect=True)
"""Runs a test of the backend on each engine: those of the contract, of stops and of streams, where engines could differ."""

EVERY_ENGINE = os.environ.get("CLAWLOG_TEST_ENGINES") == "all"

BOTH_ENGINES_AT_LENGTH = BOTH_ENGINES if EVERY_ENGINE else pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Runs a test on SQLite, and with ``CLAWLOG_TEST_ENGINES=all``, as `make faults` does, on each engine."""

ENGINES_AT_LENGTH = ["sqlite", POSTGRESQL] if EVERY_ENGINE else None
"""The parameters of a fixture that gives a backend: none, which is SQLite; with ``CLAWLOG_TEST_ENGINES=all`` each engine."""


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

"""Places to try the command in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from process.cli.place import Place, a_place


@pytest.fixture
def place() -> Iterator[Place]:
    """A place of the test's own, where nothing runs yet."""
    with a_place() as made:
        yield made


@pytest.fixture(scope="module")
def running() -> Iterator[Place]:
    """A place where a backend and a daemon run, for the tests of a module."""
    with a_place() as made:
        made.start_backend()
        made.start_daemon()
        yield made

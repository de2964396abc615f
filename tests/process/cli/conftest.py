"""Places to try the command in, and the command itself within this process: its commands are quick, its start is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from clawlog.cli import main
from support.installation import Place, Ran, a_place

Clawlog = Callable[..., Ran]


@pytest.fixture
def place() -> Iterator[Place]:
    """A place of the test's own, where nothing runs yet."""
    with a_place() as made:
        yield made


@pytest.fixture(scope="session")
def running() -> Iterator[Place]:
    """A place where a backend and a daemon run, for all tests that leave both healthy."""
    with a_place() as made:
        made.start_backend()
        made.start_daemon()
        yield made


@pytest.fixture
def clawlog(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clawlog:
    """``clawlog(place, "status", "--json")``: runs a command at a place, in this process."""

    def run(where: Place, *arguments: str) -> Ran:
        for name in os.environ.keys() - where.env.keys():
            monkeypatch.delenv(name)
        for name, value in where.env.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        status = main.run(arguments)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run

"""Places to try the command in, and the command itself within this process: its commands are quick, its start is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from clawlog.cli import main
from support.installation import Installation, Ran, temporary_installation

Clawlog = Callable[..., Ran]


@pytest.fixture
def fresh() -> Iterator[Installation]:
    """An installation of the test's own, where nothing runs yet."""
    with temporary_installation() as made:
        yield made


@pytest.fixture(scope="session")
def running() -> Iterator[Installation]:
    """An installation where a backend and a daemon run, for all tests that leave both healthy."""
    with temporary_installation() as made:
        made.start_backend()
        made.start_daemon()
        yield made


@pytest.fixture
def clawlog(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clawlog:
    """``clawlog(fresh, "status", "--json")``: runs a command at a fresh, in this process."""

    def run(where: Installation, *arguments: str) -> Ran:
        for name in os.environ.keys() - where.env.keys():
            monkeypatch.delenv(name)
        for name, value in where.env.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        status = main.run(arguments)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run

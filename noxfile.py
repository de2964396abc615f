"""The tests on every Python that the project names: `make pythons`. One that is not installed is passed over, and said so."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "tests"))

from support import pythons

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))

nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = False


# What differs between Pythons first: the loop's children and descriptors, reading of requests, the wire, threads beside a fork.
QUICK = (
    "tests/unit/daemon/rpc",
    "tests/unit/daemon/liveness",
    "tests/contract/test_golden_frames.py",
    "tests/contract/test_openrpc.py",
    "tests/contract/test_verbs.py",
    "tests/process/cli/test_run_returns.py::test_output_and_errors_on_one_pipe_keep_their_order",
    "tests/process/cli/test_run_inherits.py::test_a_working_folder_that_is_gone_is_no_hindrance",
)


HERE = {version: program for version, program in pythons.installed().items() if version in PYTHONS}
NEWEST = [HERE[version] for version in PYTHONS if version in HERE and version != PYTHONS[0]][-1:]


def install(session: nox.Session) -> None:
    """Installs the project and the tools of its tests."""
    session.install("--quiet", "--disable-pip-version-check", "--editable", ".[dev]")


@nox.session(python=[HERE.get(version, version) for version in PYTHONS], reuse_venv=True)
def tests(session: nox.Session) -> None:
    """Every test."""
    install(session)
    session.run("python", "-m", "pytest", "-n", "3", "--dist", "loadgroup", *session.posargs)


@nox.session(python=NEWEST or False, reuse_venv=True)
def newest(session: nox.Session) -> None:
    """A quick part of the tests, on the newest Python that is installed beside the oldest."""
    if not NEWEST:
        session.skip(f"of the Pythons {', '.join(PYTHONS)} only the oldest is installed")
    install(session)
    session.run("python", "-m", "pytest", "-q", *QUICK, *session.posargs)

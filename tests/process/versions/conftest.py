"""An earlier version beside the present one: its scripts, client, daemon and backend, as they were installed then.

``e5daaf0.whl`` is the wheel of that commit, before plans, waiting, progress and links. It was made by::

    git archive e5daaf0 | tar -x -C FOLDER
    pip wheel --no-deps --no-build-isolation -w FOLDER FOLDER

It needs the same libraries as today's, so that its folder before them on ``PYTHONPATH`` is all the installation it takes.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.installation import Installation, Ran, temporary_installation

ROOT = Path(__file__).resolve().parents[3]
WHEEL = Path(__file__).with_name("e5daaf0.whl")


@dataclass(frozen=True)
class Version:
    """A version of the programs.

    Attributes:
        env: What makes Python find its packages.
        scripts: Where its scripts are.
    """

    env: dict[str, str]
    scripts: Path

    def script(self, where: Installation, name: str, *arguments: str) -> Ran:
        """Runs one of its scripts."""
        return self.python(where, str(self.scripts / f"{name}.py"), *arguments)

    def clawlog(self, where: Installation, *arguments: str) -> Ran:
        """Runs the command; by its module, which both versions have."""
        return self.python(where, "-c", "from clawlog.cli.main import main; main()", *arguments)

    def python(self, where: Installation, *arguments: str) -> Ran:
        """Runs a Python program with its library."""
        ran = subprocess.run(
            [sys.executable, *arguments], env=where.env | self.env, capture_output=True, text=True, check=False, timeout=30
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Version:
    folder = tmp_path_factory.mktemp("e5daaf0")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    return Version({"PYTHONPATH": str(folder)}, folder / "clawlog" / "cli" / "install" / "files" / "scripts")


@pytest.fixture(scope="session")
def present() -> Version:
    return Version({}, ROOT / "scripts")


def serving(backend: Version, daemon: Version) -> Iterator[Installation]:
    """A backend and a daemon, each of a version."""
    with temporary_installation() as made:
        own = dict(made.env)
        made.env = own | backend.env
        made.start_backend()
        own["CLAWLOG_BASE_URL"] = made.env["CLAWLOG_BASE_URL"]
        made.env = own | daemon.env
        made.start_daemon()
        made.env = own
        yield made


@pytest.fixture(scope="module")
def all_earlier(earlier: Version) -> Iterator[Installation]:
    yield from serving(earlier, earlier)


@pytest.fixture(scope="module")
def all_present(present: Version) -> Iterator[Installation]:
    yield from serving(present, present)


@pytest.fixture(scope="module")
def earlier_backend(earlier: Version, present: Version) -> Iterator[Installation]:
    yield from serving(earlier, present)


@pytest.fixture(scope="module")
def earlier_daemon(earlier: Version, present: Version) -> Iterator[Installation]:
    yield from serving(present, earlier)

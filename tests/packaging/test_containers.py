"""The Containerfiles are whole where nothing can build them: what they copy is there, what they run starts, nobody is root."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).resolve().parents[2] / "containers").glob("*.Containerfile"))
every_file = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)


def instructions(file: Path) -> list[tuple[str, str]]:
    """Each instruction with what follows it, its lines joined."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def only(file: Path, word: str) -> str:
    (found,) = (rest for each, rest in instructions(file) if each == word)
    return found


def test_there_is_one_for_the_backend_and_one_for_the_sidecar() -> None:
    assert [path.stem for path in FILES] == ["backend", "sidecar"]


@every_file
def test_what_it_copies_is_there_and_is_sent_to_the_builder(file: Path, project: Path) -> None:
    sent = {line[1:] for line in (project / ".containerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    for word, rest in instructions(file):
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (project / source).exists(), source
                assert source in sent, source


@every_file
def test_it_copies_all_that_the_wheel_is_made_of(file: Path, project: Path) -> None:
    copied = {source for word, rest in instructions(file) if word == "COPY" for source in rest.split()[:-1]}
    recipe = (project / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.hatch.build.targets.wheel]")[2]
    recipe = recipe.partition("[tool.hatch.build.targets.sdist]")[0]
    shipped = set(re.findall(r'^"([\w.]+)" = ', recipe, re.MULTILINE))
    packages = {each.partition("/")[0] for each in json.loads(re.findall(r"^packages = (.*)$", recipe, re.MULTILINE)[0])}
    assert shipped | packages | {"docs", "pyproject.toml", "README.md", "LICENSE"} <= copied


@every_file
def test_it_runs_as_nobody_in_particular_and_installs_by_hashes(file: Path) -> None:
    user, group = only(file, "USER").split(":")
    assert (int(user) > 0, group) == (True, "0")
    assert "--require-hashes -r /tmp/requirements.lock" in " ".join(rest for _, rest in instructions(file))
    state = re.search(r"CLAWLOG_STATE_DIR=(\S+)", only(file, "ENV"))
    assert state is not None
    assert state[1] in shlex.split(only(file, "VOLUME"))


@every_file
def test_what_it_starts_knows_its_arguments(file: Path) -> None:
    program, *arguments = [*json.loads(only(file, "ENTRYPOINT")), *json.loads(only(file, "CMD"))]
    path = sys.executable if program == "python" else Path(sys.executable).with_name(program)
    done = subprocess.run([path, *arguments, "--version"], check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@every_file
def test_each_stage_begins_with_an_image(file: Path) -> None:
    words = [word for word, _ in instructions(file)]
    assert words[0] == "FROM"
    named = {rest.partition(" AS ")[2] for word, rest in instructions(file) if word == "FROM"}
    used = {rest.removeprefix("--from=").partition(" ")[0] for word, rest in instructions(file) if rest.startswith("--from=")}
    assert used <= named - {""}


def pinned(lock: Path) -> dict[str, str]:
    """The libraries of a lock, with their versions; each has hashes."""
    locked = lock.read_text(encoding="utf-8")
    found = dict(re.findall(r"^([\w.-]+)==(\S+).*\\\n    --hash=sha256:[0-9a-f]{64}", locked, re.MULTILINE))
    assert len(found) == len(re.findall(r"^\w", locked, re.MULTILINE))
    return found


def wanted(requirements: list[str]) -> set[str]:
    return {found[0] for each in requirements if (found := re.match(r"[\w-]+", each))}


def test_the_lock_has_every_library_of_the_project_with_its_hashes(project: Path) -> None:
    recipe = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain, every = pinned(project / "requirements.lock"), pinned(project / "requirements-extras.lock")
    assert wanted(recipe["dependencies"]) <= set(plain)
    extras = [extra for name, extra in recipe["optional-dependencies"].items() if name not in {"dev", "bench", "deploy"}]
    assert wanted([each for extra in extras for each in extra]) <= set(every)
    assert plain.items() <= every.items()


def test_what_the_backends_image_installs_can_use_postgresql(project: Path) -> None:
    (line,) = (rest for word, rest in instructions(FILES[0]) if word == "COPY" and rest.startswith("requirements"))
    assert "psycopg-binary" in pinned(project / line.split()[0])  # the image has no library of PostgreSQL's own

"""What lies in the state folder under the names of the daemon's files, and is none: it is said at once, by both sides."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon_process import environment

BIN = Path(sys.executable).parent
SCRIPT = Path(__file__).parents[3] / "scripts" / "create_task.py"

KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/full"),
}


def run(*command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=20)


@pytest.fixture
def state(folder: Path) -> Path:
    path = folder / "state"
    path.mkdir(mode=0o700)
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("outbox.db", "a pipe"), ("outbox.db.sealed", "a pipe"), ("ballast", "a device"), ("clawlogd.lock", "a folder")],
)
def test_the_daemon_names_what_is_no_file_of_its_own(folder: Path, state: Path, name: str, kind: str) -> None:
    KINDS[kind](state / name)
    ended = run(str(BIN / "clawlogd"), env=environment(folder))
    assert ended.returncode == 69, ended
    assert str(state / name) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_stop_files_are_not_written_through_a_link_nor_is_a_file_taken_for_their_folder(
    folder: Path, state: Path, kind: str
) -> None:
    (state / "run").mkdir(mode=0o700)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "precious").touch()
    if kind == "a file":
        (state / "run" / "stop").touch()
    else:
        (state / "run" / "stop").symlink_to(folder / "elsewhere")
    ended = run(str(BIN / "clawlogd"), env=environment(folder))
    assert ended.returncode == 69, ended
    assert str(state / "run" / "stop") in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (folder / "elsewhere" / "precious").exists()


def test_a_script_that_cannot_write_the_daemon_s_log_says_that_it_is_the_log(folder: Path, state: Path) -> None:
    os.mkfifo(state / "clawlogd.log")
    ended = run(sys.executable, str(SCRIPT), "--title", "T", env=environment(folder))
    assert ended.returncode == 0, ended
    assert "log" in ended.stderr
    assert "cannot be written" in ended.stderr
    assert "cannot be run" not in ended.stderr


def test_a_state_file_without_a_name_is_said_to_have_none(folder: Path, state: Path) -> None:
    env = environment(folder, CLAWLOG_AUTOSTART="0")
    ended = run(sys.executable, str(SCRIPT), "--title", "T", "--state-file", "", env=env)
    assert ended.returncode == 65
    assert "its name is empty" in ended.stderr

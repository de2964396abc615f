"""The file with the settings, and those that it names: what is no file, or not one's own, is said, and waits for nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon_process import DaemonProcess, environment
from support.plain_server import PlainServer
from support.running_daemon import until

BIN = Path(sys.executable).parent
CHECKS: dict[str, list[str]] = {"daemon": [str(BIN / "clawlogd"), "--check-config"], "doctor": [str(BIN / "clawlog"), "doctor"]}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=20)


def nothing_at(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "a broken link": (nothing_at, "No such file"),
    "a pipe": (os.mkfifo, "has to be a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "has to be a file"),
    "a gigabyte": (large, "holds more than"),
}


@pytest.mark.parametrize("program", CHECKS)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_settings_file_is_said_and_not_passed_over(folder: Path, wrong: str, program: str) -> None:
    make, said = WRONG[wrong]
    path = folder / ".config" / "clawlog" / "clawlog.toml"
    path.parent.mkdir(parents=True)
    make(path)
    ended = run(*CHECKS[program], **environment(folder, CLAWLOG_BASE_URL="http://127.0.0.1:9"))
    assert ended.returncode == {"daemon": 2, "doctor": 1}[program], ended
    assert said in ended.stderr + ended.stdout
    assert str(path) in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout


def without_override(*command: str) -> list[str]:
    """Root, but bound by permissions as everybody is."""
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command] if os.geteuid() == 0 else [*command]


@pytest.mark.parametrize("program", CHECKS)
def test_a_settings_folder_that_cannot_be_entered_is_said(folder: Path, program: str) -> None:
    (folder / ".config" / "clawlog").mkdir(parents=True)
    (folder / ".config").chmod(0)
    try:
        ended = run(*without_override(*CHECKS[program]), **environment(folder, CLAWLOG_BASE_URL="http://127.0.0.1:9"))
    finally:
        (folder / ".config").chmod(0o700)
    said = ended.stderr + ended.stdout
    assert "clawlog.toml: cannot be read: Permission denied" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("given", ["somebody else's", "relative"])
def test_settings_in_a_folder_that_is_not_ones_own_say_nothing(folder: Path, given: str) -> None:
    theirs = folder / "theirs"
    (theirs / "clawlog").mkdir(parents=True)
    (theirs / "clawlog" / "clawlog.toml").write_text('base_url = "http://127.0.0.1:66"\n')
    os.chown(theirs, 54321, 54321)
    named = str(theirs) if given != "relative" else os.path.relpath(theirs)
    ended = run(*CHECKS["daemon"], **environment(folder, XDG_CONFIG_HOME=named))
    assert ended.returncode == 0, ended
    assert "127.0.0.1:66" not in ended.stdout


async def test_a_pipe_in_the_place_of_the_token_s_file_holds_up_neither_the_daemon_nor_the_doctor(
    new_process: Callable[..., DaemonProcess], folder: Path, plain: PlainServer
) -> None:
    os.mkfifo(folder / "token")
    process = await new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_TOKEN_FILE=str(folder / "token")).start()
    await process.call("task.create", title="T", task_id="t")

    async def said() -> bool:
        problems = (await process.call("daemon.status"))["problems"]
        return any("has to be a file" in problem for problem in problems)

    await until(said)
    assert "has to be a file" in run(str(BIN / "clawlog"), "doctor", **process.env).stdout
    (folder / "token").unlink()
    (folder / "token").write_text("secret")
    await plain.until_events(1)

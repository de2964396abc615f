"""A real set-up, broken in ten ways: ``clawlog doctor`` and ``clawlog status`` name each, and say what to do.

All is real: the daemon, the backend, the two commands as programs, and what is broken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawlog.errors import Refused
from faults.registry import faketime_library
from support.installation import Installation, Ran, wait_until

HEALTHY, DEGRADED, NOT_RUNNING = 0, 1, 3

QUICK = {"CLAWLOG_RETRY_QUICK_DELAYS_S": "0.01", "CLAWLOG_RETRY_MAX_DELAY_S": "1", "CLAWLOG_SHUTDOWN_DELIVER_S": "0.1"}
"""Settings that shorten the waits for a backend that is away."""


@pytest.fixture
def served(fresh: Installation, running: Installation) -> Installation:
    """An installation whose backend answers, and whose daemon is not started yet."""
    fresh.env |= {"CLAWLOG_BASE_URL": running.env["CLAWLOG_BASE_URL"], "CLAWLOG_AUTOSTART": "1", **QUICK}
    return fresh


def words(text: str) -> str:
    """What a screen says, however its lines were broken."""
    return " ".join(text.split())


def says(ran: Ran, status: int, found: str, advice: str) -> None:
    """A command's exit status, the cause that it names, and the advice that follows it."""
    assert ran.status == status, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert re.search(rf"{found}.*→ .*{advice}", words(ran.stdout)), f"{found!r} and then {advice!r}\n{ran.stdout}"


def names(fresh: Installation, found: str, advice: str, *, doctor: int, status: int) -> None:
    """Both commands name a fault (a regular expression), and say what to do."""
    says(fresh.clawlog("doctor"), doctor, found, advice)
    says(fresh.clawlog("status"), status, found, advice)


def refuses_to_start(fresh: Installation, status: int, said: str) -> None:
    """The fault is none of the commands' own imagination: the daemon does not start."""
    command = [sys.executable, "-m", "clawlogd"]
    ran = subprocess.run(command, env=fresh.env, capture_output=True, text=True, timeout=20, check=False)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert re.search(said, ran.stderr), ran.stderr


def lane_state(fresh: Installation) -> str:
    """What the default backend's lane does, after a task that it is to deliver."""
    with fresh.client() as client:
        return str(next((each["state"] for each in client.daemon_status()["backends"]), ""))


def with_a_task(fresh: Installation, state: str) -> None:
    """Creates a task, and waits until the lane is in a state for it."""
    with fresh.client() as client:
        client.create_task("任务", ["一"])
    wait_until(lambda: lane_state(fresh) == state, f"the lane is in {state}")


def test_before_it_is_broken_nothing_is_wrong(served: Installation) -> None:
    served.start_daemon()
    with_a_task(served, "idle")
    for command in ("doctor", "status"):
        ran = served.clawlog(command)
        assert (ran.status, ran.stderr) == (HEALTHY, "")
        assert "→" not in ran.stdout
    assert served.clawlog("status", "--json").json["findings"] == []


def test_wrong_permissions(served: Installation) -> None:
    folder = served.folder / "sockets"
    folder.mkdir()
    folder.chmod(0o777)
    served.env["CLAWLOG_SOCKET"] = str(folder / "d.sock")
    refuses_to_start(served, 69, "/sockets: others may write there")
    names(served, r"/sockets: others may write there \(mode 777\)", "chmod go-w .*/sockets", doctor=1, status=NOT_RUNNING)
    folder.chmod(0o755)  # as was advised
    served.start_daemon()


def test_permissions_that_go_wrong_while_it_runs(served: Installation) -> None:
    served.start_daemon()
    served.folder.chmod(0o755)
    (served.folder / "run" / "clawlogd.sock").chmod(0o666)
    names(served, r"is open to others \(mode 755\)", "chmod 700 ", doctor=0, status=HEALTHY)
    names(served, r"clawlogd.sock is open to all \(mode 666\)", "chmod 600 ", doctor=0, status=HEALTHY)


def test_a_stale_socket(served: Installation) -> None:
    daemon = served.start_daemon()
    daemon.kill()
    daemon.wait()
    names(
        served,
        "clawlogd.sock is left over from a daemon that has ended",
        "the next daemon replaces it",
        doctor=0,
        status=NOT_RUNNING,
    )
    served.start_daemon()  # as was advised
    assert served.clawlog("status").status == HEALTHY


def test_a_backend_that_is_down(fresh: Installation) -> None:
    fresh.env |= QUICK
    backend = fresh.start_backend()
    fresh.start_daemon()
    fresh.end(backend)
    # Before there is anything to send, nobody but the two commands could know; and the daemon may never need it.
    names(fresh, "does not answer: .*Connection refused", "clawlog up", doctor=1, status=HEALTHY)
    with_a_task(fresh, "outage")
    names(fresh, "is unavailable since .*cannot connect", "start that backend", doctor=1, status=DEGRADED)


def test_a_bad_token(fresh: Installation) -> None:
    token = fresh.folder / "token"
    fresh.env |= QUICK
    fresh.env["CLAWLOG_TOKEN"] = "the-right-token-of-all"
    fresh.start_backend()
    del fresh.env["CLAWLOG_TOKEN"]
    token.write_text("a-wrong-token-this-is\n")
    token.chmod(0o600)
    fresh.env["CLAWLOG_TOKEN_FILE"] = str(token)
    fresh.start_daemon()
    names(fresh, r"\(HTTP 401\)", "set CLAWLOG_TOKEN_FILE", doctor=1, status=HEALTHY)
    with_a_task(fresh, "unauthorized")
    names(fresh, r"refuses the token \(POST .*HTTP 401", "set CLAWLOG_TOKEN_FILE", doctor=1, status=DEGRADED)
    assert "a-wrong-token" not in fresh.clawlog("doctor", "--settings").stdout
    token.write_text("the-right-token-of-all\n")  # as was advised
    wait_until(lambda: lane_state(fresh) == "idle", "the right token is read by itself")
    assert fresh.clawlog("status").status == HEALTHY


def test_a_backend_that_only_the_daemon_has_the_token_for_is_no_fault(fresh: Installation) -> None:
    fresh.env["CLAWLOG_TOKEN"] = "the-token-of-a-service"
    fresh.start_backend()
    fresh.start_daemon()
    with_a_task(fresh, "idle")
    del fresh.env["CLAWLOG_TOKEN"]
    ran = fresh.clawlog("doctor")
    says(ran, 0, "but this command has none", "set CLAWLOG_TOKEN_FILE here, too")
    assert fresh.clawlog("status").status == HEALTHY


@pytest.fixture
def small_disk(served: Installation) -> Iterator[Path]:
    """A disk of 4 MiB for the state."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    folder = served.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)], check=True)
    served.env["CLAWLOG_STATE_DIR"] = str(folder)
    yield folder
    served.close()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Takes all the room that there is, to the last byte."""
    with path.open("ab", buffering=0) as file:
        try:
            for size in (65536, 4096, 512, 1):
                while file.write(b"x" * size) == size:
                    pass
        except OSError:
            return


def test_a_full_disk(served: Installation, small_disk: Path) -> None:
    served.env["CLAWLOG_OUTBOX_BALLAST_BYTES"] = "65536"
    served.start_daemon()
    fill(small_disk / "filler")
    names(served, "full: 0 MiB free", "free some", doctor=1, status=DEGRADED)

    def is_refused() -> bool:
        """Whether a task is refused even after the room is taken that the daemon finds in its own files by folding them."""
        fill(small_disk / "filler")
        with served.client() as client:
            try:
                client.create_task("zu viel", ["一"] * 200)
            except Refused as refusal:
                return refusal.name == "storage_failed"
            return False

    def is_named() -> bool:
        """Whether both commands name it. The daemon may have found room again in between, until that is taken, too."""
        if not is_refused():
            return False
        failed = "the last commit failed .*; nothing is accepted until the disk has space again"
        try:
            names(served, failed, "free some space on the disk of .*/small", doctor=1, status=DEGRADED)
        except AssertionError:
            return False
        return True

    wait_until(is_named, "both commands say that nothing is accepted, and what to do")


def test_an_old_configuration_key(served: Installation) -> None:
    file = served.folder / "clawlog.toml"
    file.write_text("[heartbeat]\nevery_s = 10\n")
    served.env["CLAWLOG_CONFIG"] = str(file)
    found = r"clawlog.toml: heartbeat.every_s: no such key; expected one of .*interval_s"
    refuses_to_start(served, 2, found)
    names(served, found, "correct that key or file", doctor=1, status=NOT_RUNNING)


def test_a_second_daemon(served: Installation) -> None:
    first = served.start_daemon()
    served.env["CLAWLOG_SOCKET"] = str(served.folder / "elsewhere.sock")
    refuses_to_start(served, 69, f"a clawlogd \\(pid {first.pid}\\) has the state folder")
    found = f"no daemon at .*elsewhere.sock, but process {first.pid} has the state folder"
    names(served, found, "set CLAWLOG_SOCKET to its socket, or end it", doctor=1, status=NOT_RUNNING)


def test_another_daemon_than_the_one_that_is_meant(served: Installation) -> None:
    served.start_daemon()
    served.env["CLAWLOG_SOCKET"] = str(served.folder / "run" / "clawlogd.sock")
    served.env["CLAWLOG_STATE_DIR"] = str(served.folder / "other")
    found = "it keeps its state in .*, but scripts here would use .*/other"
    names(served, found, "set CLAWLOG_STATE_DIR, or CLAWLOG_SOCKET", doctor=0, status=HEALTHY)


@pytest.mark.skipif(faketime_library() is None, reason="libfaketime is not installed")
@pytest.mark.parametrize(
    ("offset", "found"),
    [("+2h", "behind the backend's"), ("-2h", "ahead of the backend's")],
    ids=["behind", "ahead"],
)
def test_a_clock_that_is_off(fresh: Installation, offset: str, found: str) -> None:
    there = {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }
    fresh.env |= there
    fresh.start_backend()
    for name in there:
        del fresh.env[name]
    fresh.start_daemon()
    with_a_task(fresh, "idle")
    names(fresh, f"this machine's clock is (2 h|1 h 59 min) {found}", "timedatectl", doctor=0, status=HEALTHY)


def a_folder(path: Path) -> None:
    path.mkdir()


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize("make", [a_folder, no_text, nothing])
def test_an_unreadable_configuration(served: Installation, make: Callable[[Path], None]) -> None:
    file = served.folder / "clawlog.toml"
    make(file)
    served.env["CLAWLOG_CONFIG"] = str(file)
    found = "clawlog.toml:? (cannot be read|is not TOML|not TOML)"
    refuses_to_start(served, 2, "clawlog.toml")
    names(served, found, "correct that", doctor=1, status=NOT_RUNNING)


def test_a_configuration_that_becomes_unreadable_under_a_running_daemon(served: Installation) -> None:
    file = served.folder / "clawlog.toml"
    file.write_text("")
    served.env["CLAWLOG_CONFIG"] = str(file)
    daemon = served.start_daemon()
    file.write_text("[heartbeat]\nevery_s = 10\n")
    daemon.send_signal(1)

    def heard() -> bool:
        with served.client() as client:
            return not client.daemon_status()["healthy"]

    wait_until(heard, "the reload has failed")
    found = "the settings could not be read again, .*heartbeat.every_s: no such key"
    names(served, found, "correct the file, then reload", doctor=1, status=DEGRADED)


def test_a_wrong_base_url(served: Installation) -> None:
    served.env["CLAWLOG_BASE_URL"] += "/api"
    served.start_daemon()
    names(served, r"/api: .*\(HTTP 404\)", "set CLAWLOG_BASE_URL to one, without /api", doctor=1, status=HEALTHY)
    with_a_task(served, "no_contract")
    found = r"is not below /api: set base_url to the address without it"
    names(served, found, "correct its address", doctor=1, status=DEGRADED)
    assert f"default  {served.env['CLAWLOG_BASE_URL']}\n" in served.clawlog("status").stdout

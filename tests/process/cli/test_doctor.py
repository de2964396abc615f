"""``clawlog doctor``: all is well on a good set-up; each way to break it is named, with what to do."""

from __future__ import annotations

import http.server
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from process.cli.conftest import Clawlog
from support.installation import Installation

Found = dict[str, list[tuple[str, str, str]]]


def findings(fresh: Installation, clawlog: Clawlog, status: int) -> Found:
    """What the doctor found: by check, each with verdict, words and advice."""
    ran = clawlog(fresh, "doctor", "--json")
    assert ran.status == status, ran.stdout
    assert ran.json["ok"] is (status == 0)
    found: Found = {}
    for each in ran.json["findings"]:
        assert bool(each["advice"]) is (each["verdict"] != "ok"), each
        found.setdefault(each["check"], []).append((each["verdict"], each["found"], each["advice"]))
    return found


def the(found: Found, check: str) -> tuple[str, str, str]:
    """The one finding of a check."""
    (only,) = found[check]
    return only


def test_on_a_good_set_up_nothing_is_wrong(running: Installation, clawlog: Clawlog) -> None:
    found = findings(running, clawlog, 0)
    assert {each[0] for several in found.values() for each in several} == {"ok"}
    assert set(found) - {"agent", "mcp"} == {  # of one that is on this machine
        "version",
        "program",
        "settings",
        "state",
        "disk",
        "spool",
        "socket",
        "daemon",
        "backend",
        "clock",
        "contract",
    }
    ran = clawlog(running, "doctor")
    assert ran.status == 0
    assert ran.stdout.endswith("\nnothing is wrong\n")


def test_every_setting_is_shown_with_its_origin(running: Installation, clawlog: Clawlog) -> None:
    settings = {each["key"]: each for each in clawlog(running, "doctor", "--json").json["settings"]}
    assert settings["base_url"]["origin"] == "environment CLAWLOG_BASE_URL"
    assert settings["base_url"]["value"] == repr(running.env["CLAWLOG_BASE_URL"])
    assert settings["outbox.max_events"]["origin"] == "default"
    shown = clawlog(running, "doctor", "--settings").stdout
    assert all(key in shown for key in settings)


@pytest.fixture
def served(fresh: Installation, running: Installation) -> Installation:
    """An installation without a daemon, whose default backend answers."""
    fresh.env["CLAWLOG_BASE_URL"] = running.env["CLAWLOG_BASE_URL"]
    fresh.env["CLAWLOG_AUTOSTART"] = "1"
    return fresh


def test_no_daemon_is_no_fault_where_one_may_be_started(served: Installation, clawlog: Clawlog) -> None:
    before = sorted(served.folder.iterdir())
    assert the(findings(served, clawlog, 0), "daemon")[:2] == ("ok", "not running; the next script call starts it")
    assert sorted(served.folder.iterdir()) == before
    served.env["CLAWLOG_AUTOSTART"] = "0"
    assert "CLAWLOG_AUTOSTART=0 forbids" in the(findings(served, clawlog, 1), "daemon")[1]


class Broken(NamedTuple):
    """A way to break a set-up, and what the doctor is to say."""

    break_it: Callable[[Installation], Any]
    check: str
    verdict: str
    found: str
    advice: str


def open_folder(fresh: Installation) -> None:
    fresh.folder.chmod(0o755)


def linked_folder(fresh: Installation) -> None:
    link = fresh.folder / "link"
    link.symlink_to(fresh.folder)
    fresh.env["CLAWLOG_STATE_DIR"] = str(link)


def stale_socket(fresh: Installation) -> None:
    (fresh.folder / "run").mkdir(mode=0o700)
    path = str(fresh.folder / "run" / "clawlogd.sock")
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)
    Path(path).chmod(0o600)


def open_socket(fresh: Installation) -> None:
    stale_socket(fresh)
    (fresh.folder / "run" / "clawlogd.sock").chmod(0o666)


def no_socket(fresh: Installation) -> None:
    (fresh.folder / "run").mkdir(mode=0o700)
    (fresh.folder / "run" / "clawlogd.sock").touch()


def long_socket(fresh: Installation) -> None:
    fresh.env["CLAWLOG_SOCKET"] = str(fresh.folder / ("x" * 120))


def backend_down(fresh: Installation) -> None:
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"


def old_key(fresh: Installation) -> None:
    fresh.env["CLAWLOG_CONFIG"] = str(fresh.folder / "clawlog.toml")
    (fresh.folder / "clawlog.toml").write_text("[heartbeat]\nevery_s = 10\n")


def unreadable_settings(fresh: Installation) -> None:
    fresh.env["CLAWLOG_CONFIG"] = str(fresh.folder)


def empty_token(fresh: Installation) -> None:
    (fresh.folder / "token").touch(mode=0o600)
    fresh.env["CLAWLOG_TOKEN_FILE"] = str(fresh.folder / "token")


def open_token(fresh: Installation) -> None:
    (fresh.folder / "token").write_text("a-token-of-some-length\n")
    (fresh.folder / "token").chmod(0o644)
    fresh.env["CLAWLOG_TOKEN_FILE"] = str(fresh.folder / "token")


def waiting_calls(fresh: Installation) -> None:
    (fresh.folder / "spool").mkdir()
    (fresh.folder / "spool" / "00000000000000000001.call").touch()


def refused_calls(fresh: Installation) -> None:
    (fresh.folder / "spool" / "refused").mkdir(parents=True)
    (fresh.folder / "spool" / "refused" / "00000000000000000001.call").touch()


@pytest.mark.parametrize(
    "broken",
    [
        Broken(open_folder, "state", "warning", "is open to others (mode 755)", "chmod 700 "),
        Broken(linked_folder, "state", "fault", "is a symbolic link", "CLAWLOG_STATE_DIR"),
        Broken(stale_socket, "socket", "warning", "is left over from a daemon that has ended", "the next daemon replaces it"),
        Broken(open_socket, "socket", "warning", "is open to all (mode 666)", "chmod 600 "),
        Broken(no_socket, "socket", "fault", "is not a socket", "move it away"),
        Broken(long_socket, "socket", "fault", "is longer than 107 bytes", "CLAWLOG_SOCKET"),
        Broken(backend_down, "backend", "fault", "does not answer", "clawlog up"),
        Broken(old_key, "settings", "fault", "heartbeat.every_s: no such key; expected one of", "correct that key"),
        Broken(unreadable_settings, "settings", "fault", "cannot be read", "docs/configuration.md"),
        Broken(empty_token, "backend", "fault", "is empty", "correct that file"),
        Broken(open_token, "token", "warning", "can be read by others (mode 644)", "chmod 600 "),
        Broken(waiting_calls, "spool", "warning", "1 call waits for a daemon", "start one"),
        Broken(refused_calls, "spool", "warning", "1 call could not be used", "refused"),
    ],
    ids=lambda broken: broken.break_it.__name__,
)
def test_each_way_to_break_it_is_named_with_what_to_do(served: Installation, clawlog: Clawlog, broken: Broken) -> None:
    broken.break_it(served)
    verdict, said, advice = the(findings(served, clawlog, broken.verdict == "fault"), broken.check)
    assert verdict == broken.verdict
    assert broken.found in said
    assert broken.advice in advice


def test_a_disk_that_fills_up_is_named(served: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the system says of a disk is all that the doctor goes by; filling a real one wants root.
    for free_bytes, status, said in ((100 * 1024**2, 0, "nearly full: 100 MiB"), (1024**2, 1, "full: 1 MiB")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free_bytes: SimpleNamespace(total=free, used=0, free=free))
        assert the(findings(served, clawlog, status), "disk")[1].startswith(said)


def test_a_refused_token_is_named(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_TOKEN"] = "the-right-token-of-all"
    fresh.start_backend()
    fresh.env["CLAWLOG_AUTOSTART"] = "1"
    fresh.env["CLAWLOG_TOKEN"] = "a-wrong-token-this-is"
    verdict, said, advice = the(findings(fresh, clawlog, 1), "backend")
    assert verdict == "fault"
    assert "(HTTP 401)" in said
    assert "CLAWLOG_TOKEN_FILE" in advice


@contextmanager
def a_server(status: int, body: bytes, date: str) -> Iterator[str]:
    """A web server that is no ClawLog backend."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", date)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(404, b"nothing here", "HTTP 404"), (200, b"<html>", "does not answer with JSON"), (302, b"", "HTTP 302")],
)
def test_a_wrong_base_url_is_named(served: Installation, clawlog: Clawlog, status: int, body: bytes, said: str) -> None:
    with a_server(status, body, "Thu, 01 Jan 1970 00:00:00 GMT") as url:
        served.env["CLAWLOG_BASE_URL"] = url
        assert said in the(findings(served, clawlog, 1), "backend")[1]


def test_a_clock_that_is_off_is_named(served: Installation, clawlog: Clawlog) -> None:
    with a_server(200, b'{"tasks": []}', "Fri, 31 Dec 2999 23:59:59 GMT") as url:
        served.env["CLAWLOG_BASE_URL"] = url
        verdict, said, advice = the(findings(served, clawlog, 0), "clock")
    assert verdict == "warning"
    assert said.endswith(" behind the backend's")
    assert "timedatectl" in advice


def test_a_second_daemon_on_the_same_state_is_named(served: Installation, clawlog: Clawlog) -> None:
    daemon = served.start_daemon()
    served.env["CLAWLOG_SOCKET"] = str(served.folder / "elsewhere.sock")
    verdict, said, advice = the(findings(served, clawlog, 1), "daemon")
    assert verdict == "fault"
    assert f"but process {daemon.pid} has the state folder" in said
    assert "CLAWLOG_SOCKET" in advice
    served.env["CLAWLOG_SOCKET"] = str(served.folder / "run" / "clawlogd.sock")
    served.env["CLAWLOG_STATE_DIR"] = str(served.folder / "other")
    assert "scripts here would use" in findings(served, clawlog, 0)["daemon"][0][1]

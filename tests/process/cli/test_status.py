"""``clawlog status``: what an operator learns, and that looking starts nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from clawlog.cli.quick import status as quick_status
from clawlog.cli.sources import daemon
from process.cli.conftest import Clawlog
from support.installation import Installation, wait_until


def test_a_healthy_daemon_is_shown_on_one_screen(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        client.create_task("健康", ["一"])
        assert client.flush().flushed
    ran = clawlog(running, "status")
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[1].startswith("● daemon ok   clawlogd ")
    assert running.env["CLAWLOG_BASE_URL"] in ran.stdout
    assert len(ran.stdout.splitlines()) < 24
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())


QUICK = """
import os, sys
from clawlog.cli.entry import main
os._exit = lambda status: (print(*sys.modules, file=sys.stderr), sys.exit(status))
sys.argv[1:] = ["status"]
main()
"""
"""The program, which says at its end what it has loaded."""
SLOW = {"click", "rich", "dataclasses", "socket", "typing", "urllib.request", "asyncio", "clawlog.client"}


def test_where_all_is_well_it_is_answered_at_once_and_as_the_command_itself_answers(
    fresh: Installation, clawlog: Clawlog
) -> None:
    fresh.start_backend()
    fresh.start_daemon()
    assert quick_status.run(fresh.env) is None  # nothing was sent yet, so nobody knows whether the backend is there
    with fresh.client() as client:
        asked = client.create_task("问", ["一"], watch_pid=os.getpid())
        client.update_task(asked.task_id, "waiting", summary="a or b?")
        gone = fresh.start("sleep", "60")
        lost = client.create_task("没了", ["一"], watch_pid=gone.pid)
        fresh.end(gone)
        failed = client.create_task("坏了", ["一"])
        client.update_task(failed.task_id, "failed")
        wait_until(lambda: client.get_task(lost.task_id)["liveness"]["state"] == "lost", "its agent is lost")
        assert client.flush().flushed
    env = {name: value for name, value in fresh.env.items() if not name.startswith("COV")}  # it loads much of its own
    ran = subprocess.run([sys.executable, "-c", QUICK], env=env, capture_output=True, text=True, check=True, timeout=20)
    assert "clawlog.cli.quick.status" in ran.stderr.split()
    assert not SLOW & set(ran.stderr.split())
    quick, whole = ran.stdout.splitlines(), clawlog(fresh, "status").stdout.splitlines()
    assert quick[0] == "Needs you 1 · Dead 1 · Failed 1 (24 h)"
    assert [line.partition(", up ")[0] for line in quick] == [line.partition(", up ")[0] for line in whole]


def test_programs_get_the_daemons_own_answer(running: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(running, "status", "--json")
    assert ran.status == 0
    assert (ran.json["running"], ran.json["healthy"], ran.json["problems"]) == (True, True, [])
    with running.client() as client:
        assert ran.json.keys() == {"running", "findings", *client.daemon_status()}


def test_an_outage_is_told_with_since_when_why_how_much_and_for_how_long(fresh: Installation, clawlog: Clawlog) -> None:
    backend = fresh.start_backend()
    fresh.start_daemon()
    fresh.end(backend)
    with fresh.client() as client:
        task = client.create_task("停电", ["一"])
        client.update_step(task.task_id, 1, "running")
        lane = wait_until(lambda: next((x for x in client.daemon_status()["backends"] if x["outage_since"]), None), "an outage")
    ran = clawlog(fresh, "status")
    assert ran.status == 1
    assert "● daemon degraded" in ran.stdout
    assert f"is unavailable since {lane['outage_since']}" in ran.stdout
    assert "cannot connect" in ran.stdout
    assert "waiting  2 events" in ran.stdout
    assert "an hour, full in" in ran.stdout
    ran = clawlog(fresh, "status", "--json")
    assert (ran.status, ran.json["healthy"], ran.json["backends"][0]["pending"]) == (1, False, 2)


def test_no_daemon_is_said_and_none_is_started(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_AUTOSTART"] = "1"
    ran = clawlog(fresh, "status")
    assert ran.status == 3
    assert f"no daemon at {fresh.folder}/run/clawlogd.sock" in ran.stdout
    ran = clawlog(fresh, "status", "--json")
    assert (ran.status, ran.json["running"], ran.json["spooled_calls"]) == (3, False, 0)
    assert list(fresh.folder.iterdir()) == []


def test_what_waits_for_a_daemon_is_counted(fresh: Installation, clawlog: Clawlog) -> None:
    spool = fresh.folder / "spool"
    spool.mkdir()
    for name in ("1.call", "2.call", "3.call.draft"):
        (spool / name).touch()
    assert clawlog(fresh, "status", "--json").json["spooled_calls"] == 2
    assert "2 script calls wait in the spool" in clawlog(fresh, "status").stdout


def test_a_daemon_that_hangs_is_degraded_and_not_absent(
    fresh: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "TIMEOUT_S", 0.2)
    (fresh.folder / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(fresh.folder / "run" / "clawlogd.sock"))
        silent.listen()
        ran = clawlog(fresh, "status", "--json")
    assert (ran.status, ran.json["running"], ran.json["healthy"]) == (1, True, False)
    assert "did not answer in time" in ran.json["problems"][0]


def test_a_reader_that_goes_away_is_no_fault(running: Installation) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = running.start_clawlog("status", stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, b"")

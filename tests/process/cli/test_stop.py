"""``clawlog stop``: the request goes to the backend, and with ``--wait`` its receipts are followed to the acknowledgement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from process.cli.conftest import Clawlog
from support.installation import Installation

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
OBEDIENT = """
set -e
"$1" "$2/poll_interrupt.py" --task-id "$3" --timeout 25 >/dev/null || test $? = 20
exec "$1" "$2/update_status.py" --task-id "$3" --ack-interrupt --ack-summary "stopped after the block"
"""


def agent(fresh: Installation, task_id: str) -> subprocess.Popen[bytes]:
    """An agent that waits for a stop and honours it."""
    return fresh.start("/bin/sh", "-c", OBEDIENT, "agent", sys.executable, str(SCRIPTS), task_id, stdout=subprocess.DEVNULL)


def created(fresh: Installation, title: str) -> str:
    with fresh.client() as client:
        task = client.create_task(title, ["一"])
        assert client.flush().flushed
        return task.task_id


def test_a_stop_is_followed_to_its_acknowledgement(running: Installation, clawlog: Clawlog) -> None:
    task_id = created(running, "停下来")
    obedient = agent(running, task_id)
    ran = clawlog(running, "stop", task_id, "--reason", "wrong branch", "--wait", "--timeout", "25")
    assert (ran.status, ran.stderr) == (0, "")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["requested", "seen", "delivered", "acknowledged"]
    assert ran.stdout.rstrip().endswith('"stopped after the block"')
    assert obedient.wait(20) == 0
    stop = running.backend.task(task_id).stop
    assert stop is not None
    assert (stop.reason, stop.ack_summary) == ("wrong branch", "stopped after the block")


def test_programs_get_the_receipts_at_the_end(running: Installation, clawlog: Clawlog) -> None:
    task_id = created(running, "json")
    agent(running, task_id)
    found = clawlog(running, "stop", task_id, "--wait", "--json").json
    assert found["task_id"] == task_id
    receipts = [found[f"{stage}_at"] for stage in ("requested", "seen", "delivered", "acknowledged")]
    assert receipts == sorted(receipts)
    assert found["ack_summary"] == "stopped after the block"


def test_asking_twice_is_one_stop(running: Installation, clawlog: Clawlog) -> None:
    task_id = created(running, "twice")
    first = clawlog(running, "stop", task_id, "--json").json
    again = clawlog(running, "stop", task_id, "--json").json
    assert first["interrupt_id"] == again["interrupt_id"]
    with running.client() as client:
        assert client.check_interrupt(task_id, wait_s=10).interrupt_requested


def test_when_nobody_acknowledges_the_time_runs_out(running: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(running, "stop", created(running, "taub"), "--wait", "--timeout", "0.1")
    assert ran.status == 75
    assert ran.stderr == "clawlog: timed out; the stop stays requested\n"
    assert ran.stdout.startswith("requested")


def test_a_task_that_ends_instead_is_over_all_the_same(running: Installation) -> None:
    task_id = created(running, "fertig")
    stop = running.start_clawlog("stop", task_id, "--wait", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert stop.stdout is not None
    assert stop.stdout.readline().startswith(b"requested")
    with running.client() as client:
        client.update_task(task_id, "done")
    _, stderr = stop.communicate(timeout=20)
    assert stop.returncode == 0
    assert stderr == b"clawlog: the task ended (done) without acknowledging the stop\n"


def test_an_ended_or_unknown_task_cannot_be_stopped(running: Installation, clawlog: Clawlog) -> None:
    task_id = created(running, "vorbei")
    with running.client() as client:
        client.update_task(task_id, "done")
        assert client.flush().flushed
    ran = clawlog(running, "stop", task_id)
    assert (ran.status, ran.stdout) == (65, "")
    assert "(HTTP 409)" in ran.stderr
    assert clawlog(running, "stop", "nowhere").status == 65


def test_a_backend_that_is_away_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
    fresh.start_daemon()
    with fresh.client() as client:
        task_id = client.create_task("offline").task_id
    ran = clawlog(fresh, "stop", task_id)
    assert (ran.status, ran.stdout) == (69, "")
    assert "http://127.0.0.1:9 does not answer" in ran.stderr


def test_the_token_goes_to_the_default_backend_and_to_no_other(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_TOKEN"] = "a-token-of-some-length"
    fresh.start_backend()
    fresh.start_daemon()
    task_id = created(fresh, "geheim")
    assert clawlog(fresh, "stop", task_id).status == 0
    mine = fresh.env["CLAWLOG_BASE_URL"]
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
    ran = clawlog(fresh, "stop", task_id)
    assert (ran.status, ran.stdout) == (65, "")
    assert "(HTTP 401)" in ran.stderr
    fresh.env["CLAWLOG_BASE_URL"] = mine
    del fresh.env["CLAWLOG_TOKEN"]
    token_file = fresh.folder / "token"
    token_file.write_text("a-token-of-some-length\n")
    fresh.env["CLAWLOG_TOKEN_FILE"] = str(token_file)
    assert clawlog(fresh, "stop", task_id).status == 0
    token_file.write_text("\n")
    ran = clawlog(fresh, "stop", task_id)
    assert ran.status == 2
    assert f"the token file {token_file} is empty" in ran.stderr

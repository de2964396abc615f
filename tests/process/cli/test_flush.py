"""``clawlog flush``."""

from __future__ import annotations

from process.cli.conftest import Clawlog
from support.installation import Installation


def test_it_returns_when_the_backend_has_everything(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("冲", ["一"])
        client.update_step(task.task_id, 1, "done")
    ran = clawlog(running, "flush")
    assert (ran.status, ran.stdout) == (0, "everything was delivered\n")
    assert running.backend.task(task.task_id).steps[0].status == "done"
    assert clawlog(running, "flush", "--task", task.task_id, "--json").json == {"flushed": True, "pending": 0}


def test_it_says_what_waits_and_why_when_the_time_runs_out(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
    fresh.start_daemon()
    with fresh.client() as client:
        client.create_task("等")
    ran = clawlog(fresh, "flush", "--timeout", "0.2")
    assert (ran.status, ran.stdout) == (75, "")
    assert "1 event still waiting; nothing is lost" in ran.stderr
    assert "1 of them for http://127.0.0.1:9" in ran.stderr
    assert clawlog(fresh, "flush", "--timeout", "0.2", "--json").json == {"flushed": False, "pending": 1}


def test_without_a_daemon_that_may_be_started_nothing_can_be_said(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "flush").status == 69

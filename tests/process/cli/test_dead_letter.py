"""``clawlog dead-letter``: what a real backend refused, and what a person decides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from process.cli.conftest import Clawlog
from support.installation import Installation, temporary_installation, wait_until


@pytest.fixture(scope="module")
def refusing() -> Iterator[Installation]:
    """An installation of their own: a daemon with dead letters is not healthy any more."""
    with temporary_installation() as made:
        made.start_backend()
        made.start_daemon()
        yield made


def refused(fresh: Installation, task_id: str) -> str:
    """A task that the backend refuses, because another has its id; returns the event's id."""
    fresh.post_to_backend("/api/tasks", {"task_id": task_id, "title": "there first"})
    with fresh.client() as client:
        client.create_task("zu spät", ["一"], task_id=task_id)
        client.update_step(task_id, 1, "running")

        def letter() -> str | None:
            letters = client.list_dead_letters()["dead_letters"]
            mine = (each for each in letters if each["task_id"] == task_id and each["waiting_behind"] == 1)
            return next((each["event_id"] for each in mine), None)

        return str(wait_until(letter, "the backend refuses the task, and its step waits behind it"))


def test_refused_events_are_listed_and_shown(refusing: Installation, clawlog: Clawlog) -> None:
    event_id = refused(refusing, "taken-1")
    ran = clawlog(refusing, "dead-letter", "list")
    assert ran.status == 0
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith(event_id))
    assert "task_created" in line
    ran = clawlog(refusing, "dead-letter", "show", event_id[:-1])
    assert (ran.status, ran.stderr) == (0, "")
    assert "task       taken-1" in ran.stdout
    assert "already" in ran.stdout
    assert clawlog(refusing, "dead-letter", "show", event_id, "--json").json["task_id"] == "taken-1"
    assert event_id in [each["event_id"] for each in clawlog(refusing, "dead-letter", "list", "--json").json["dead_letters"]]


def test_one_is_dropped_with_what_waits_behind_it(refusing: Installation, clawlog: Clawlog) -> None:
    event_id = refused(refusing, "taken-2")
    ran = clawlog(refusing, "dead-letter", "drop", event_id)
    assert ran.status == 0
    assert ran.stdout == f"{event_id} task_created of taken-2: dropped, with 1 behind it\n"
    assert event_id not in clawlog(refusing, "dead-letter", "list").stdout


def test_all_are_sent_again(refusing: Installation, clawlog: Clawlog) -> None:
    event_id = refused(refusing, "taken-3")
    touched = clawlog(refusing, "dead-letter", "retry", "--all", "--json").json["dead_letters"]
    assert event_id in [each["event_id"] for each in touched]
    wait_until(lambda: event_id in clawlog(refusing, "dead-letter", "list").stdout, "the backend refuses it again")


def test_what_cannot_be_meant_is_refused_and_nothing_is_done(refusing: Installation, clawlog: Clawlog) -> None:
    event_id = refused(refusing, "taken-4")
    refused(refusing, "taken-5")
    for arguments, status, said in (
        (["drop"], 2, "Name the events, or use --all."),
        (["drop", event_id, "--all"], 2, "Name the events, or use --all."),
        (["drop", event_id, "nonesuch"], 65, "no dead letter 'nonesuch'"),
        (["retry", ""], 65, " events; give more of the id"),
        (["show", "nonesuch"], 65, "no dead letter 'nonesuch'"),
    ):
        ran = clawlog(refusing, "dead-letter", *arguments)
        assert (ran.status, ran.stdout) == (status, "")
        assert said in ran.stderr
    assert event_id in clawlog(refusing, "dead-letter", "list").stdout


def test_no_dead_letters_is_said_on_stderr(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.start_daemon()
    for arguments in (["list"], ["retry", "--all"]):
        ran = clawlog(fresh, "dead-letter", *arguments)
        assert (ran.status, ran.stdout, ran.stderr) == (0, "", "clawlog: no dead letters\n")

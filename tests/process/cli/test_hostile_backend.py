"""A backend that answers with anything at all: the commands say so in one clean line, and never end in a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faults import answers
from faults.loop_thread import LoopThread
from process.cli.conftest import Clawlog
from support.hostile_server import Answer, Asked, HostileServer
from support.hostile_texts import TEXTS, unclean, unclean_lines
from support.installation import CLAWLOG, Installation, Ran, wait_until
from support.terminal import on_terminal

TASK = "t1234567"
TIME = "2026-02-28T09:00:00.000Z"
MEMBERS = (
    "task_id", "title", "status", "steps/0/step_id", "steps/0/position", "steps/0/title", "steps/0/status", "steps/0/summary",
    "liveness/state", "liveness/evidence", "stop/interrupt_id", "stop/reason", "stop/requested_at", "stop/seen_at",
    "stop/ack_summary", "events/0/seq", "events/0/kind", "events/0/at", "events/0/received_at", "events/0/status",
    "events/0/step_id", "events/0/summary",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[HostileServer]:
    loop = LoopThread("hostile server")
    made = HostileServer()
    loop.run(made.start())
    yield made
    loop.run(made.stop())
    loop.close()


@pytest.fixture
def at_server(fresh: Installation, server: HostileServer) -> Installation:
    fresh.env |= {"CLAWLOG_BASE_URL": server.url, "CLAWLOG_AUTOSTART": "0"}
    return fresh


def view() -> dict[str, Any]:
    """A task as a good backend shows it."""
    event = {"seq": 1, "event_id": "e", "kind": "task_status", "at": TIME, "received_at": TIME}
    return {
        "task_id": TASK,
        "title": "T",
        "status": "running",
        "steps": [{"step_id": "s", "position": 1, "title": "one", "status": "running", "summary": "x"}],
        "liveness": {"state": "alive", "evidence": "process"},
        "stop": {"interrupt_id": "i", "reason": "r", "requested_at": TIME, "seen_at": TIME, "ack_summary": "a"},
        "events": [{**event, "step_id": "s", "status": "running", "summary": "s"}],
    }


def with_member(path: str, value: Any) -> dict[str, Any]:
    shown: Any = view()
    *way, last = path.split("/")
    place = shown
    for part in way:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return dict(shown)


def answering(server: HostileServer, shown: dict[str, Any]) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/api/tasks?"):
            return Answer(body={"tasks": [view()], "next_cursor": None})
        return Answer(202, shown["stop"]) if asked.path.endswith("/interrupt") else Answer(body=shown)

    server.poison = answer


def is_told_cleanly(ran: Ran, what: object) -> None:
    assert "Traceback" not in ran.stderr, what
    assert unclean_lines(ran.stdout) == [], what
    assert unclean_lines(ran.stderr) == [], what
    assert len(ran.stderr.splitlines()) <= 1, (what, ran.stderr)
    assert ran.status in {0, 65, 69}, (what, ran.status)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["stop"], ["stop", "--json"]], ids=" ".join)
def test_any_answer_at_all_is_told_in_a_clean_line(
    at_server: Installation, clawlog: Clawlog, server: HostileServer, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawlog.cli.sources.backend.TIMEOUT_S", 0.5)
    kinds = [(name, answer) for name, answer in answers.general() if not (name.isdigit() and int(name) % 7)]
    for name, answer in kinds:
        if "silence" in name:
            continue  # is but a time-out
        server.poison = lambda _, answer=answer: answer  # type: ignore[misc]
        is_told_cleanly(clawlog(at_server, *command, TASK), name)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["stop"], ["stop", "--json"]], ids=" ".join)
def test_any_word_in_a_good_answer_is_shown_cleanly(
    at_server: Installation, clawlog: Clawlog, server: HostileServer, command: list[str]
) -> None:
    for path in MEMBERS:
        if command[0] == "stop" and not path.startswith("stop"):
            continue
        for name, value in answers.VALUES.items():
            answering(server, with_member(path, value))
            ran = clawlog(at_server, *command, TASK)
            is_told_cleanly(ran, (path, name))
            if "--json" in command and ran.status == 0:
                assert unclean(json.loads(ran.stdout)) == [], (path, name)


@pytest.mark.parametrize("token", ["a\nb", "a\x00b", "caf\udce9", "ü", "a b"], ids=ascii)
def test_a_token_that_cannot_be_sent_is_named(at_server: Installation, server: HostileServer, token: str) -> None:
    if "\x00" in token:
        (at_server.folder / "token").write_text(token, encoding="utf-8")
        at_server.env["CLAWLOG_TOKEN_FILE"] = str(at_server.folder / "token")
    else:
        at_server.env["CLAWLOG_TOKEN"] = token
    answering(server, view())
    ran = at_server.clawlog("show", TASK)
    assert "Traceback" not in ran.stderr
    assert unclean_lines(ran.stderr) == []
    assert token not in ran.stderr


def stopping(fresh: Installation, server: HostileServer, task_id: str, text: str) -> None:
    """A task whose stop bears a text in each of its words, known to the daemon."""
    server.ask_to_stop(task_id, interrupt_id=f"s{text}", reason=f"{text} now", requested_at=text)
    with fresh.client() as client:
        client.create_task("T", ["one"], task_id=task_id, base_url=server.url)
        wait_until(lambda: client.check_interrupt(task_id).interrupt_requested, "the stop is known")


def test_top_draws_no_word_of_a_backend_as_it_came(fresh: Installation, server: HostileServer) -> None:
    fresh.env |= {"CLAWLOG_BASE_URL": server.url}
    fresh.start_daemon()
    stopping(fresh, server, TASK, f"stop now {TEXTS['escape']}{TEXTS['DEL and C1']}{TEXTS['bidi']}")
    with on_terminal(fresh, *CLAWLOG, "top", "--interval", "0.1") as screen:
        screen.until(lambda shown: "exe now" in shown, "the reason is shown, to its end")
        drawn = screen.shown
        screen.type("q")
    assert not [each for each in ("\x1b[2J\x1b]", "title\x07", "\x9b", "\u202e", "\x80") if each in drawn]


def test_show_and_top_and_tasks_bear_any_words_of_a_stop(fresh: Installation, server: HostileServer, clawlog: Clawlog) -> None:
    fresh.env |= {"CLAWLOG_BASE_URL": server.url}
    fresh.start_daemon()
    for number, text in enumerate(TEXTS.values()):
        stopping(fresh, server, f"task-{number:04d}", text)
        is_told_cleanly(clawlog(fresh, "show", f"task-{number:04d}"), text[:80])
    for command in (["tasks"], ["status"], ["tasks", "--json"], ["dead-letter", "list"]):
        is_told_cleanly(clawlog(fresh, *command), command)


def kinds_of(text: str) -> Callable[[Asked], Answer | None]:
    return lambda asked: Answer(422, {"title": text}) if asked.path == "/api/events" else None


def test_a_dead_letters_reply_is_shown_cleanly(fresh: Installation, server: HostileServer, clawlog: Clawlog) -> None:
    fresh.env |= {"CLAWLOG_BASE_URL": server.url}
    fresh.start_daemon()
    server.poison = kinds_of(f"no {TEXTS['escape']}{TEXTS['DEL and C1']}{TEXTS['bidi']}{TEXTS['line breaks']}")
    with fresh.client() as client:
        client.create_task("T", base_url=server.url)
        wait_until(lambda: client.list_dead_letters()["dead_letters"], "it is a dead letter")
    for command in (["dead-letter", "list"], ["dead-letter", "list", "--json"], ["status"], ["status", "--json"]):
        ran = clawlog(fresh, *command)
        assert unclean_lines(ran.stdout) == [], command


def test_status_says_of_which_task_a_stop_is_not_known(fresh: Installation, server: HostileServer, clawlog: Clawlog) -> None:
    server.batch = False
    server.poison = lambda asked: Answer(500, {"title": "broken"}) if asked.path == f"/api/tasks/{TASK}/control" else None
    fresh.env |= {"CLAWLOG_BASE_URL": server.url, "CLAWLOG_POLL_INTERVAL_S": "0.1"}
    fresh.start_daemon()
    with fresh.client() as client:
        for task_id in (TASK, "another"):
            client.create_task("T", task_id=task_id, base_url=server.url)
        wait_until(lambda: client.daemon_status()["stops_unknown"], "it is noticed")
    ran = clawlog(fresh, "status")
    words = " ".join(ran.stdout.split())
    assert ran.status == 1
    assert "not known whether a person wants them to stop: 1; the first, since 20" in words
    assert TASK in words
    (unknown,) = clawlog(fresh, "status", "--json").json["stops_unknown"]
    assert unknown["task_id"] == TASK

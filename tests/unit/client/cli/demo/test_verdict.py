"""The demo's verdict finds each thing that can be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clawlog.cli.commands.demo import verdict
from clawlog.cli.commands.demo.agent import AgentReport
from clawlog.cli.render.backend_views import BackendEvent, BackendStep, BackendTask, Receipts

REQUEST = Receipts("stop-1", "enough", "2026-01-02T03:04:05.000Z", None, None, None, None)
STOP = replace(
    REQUEST,
    seen_at="2026-01-02T03:04:05.010Z",
    delivered_at="2026-01-02T03:04:05.500Z",
    acknowledged_at="2026-01-02T03:04:06.000Z",
    ack_summary="stopped",
)
TOLD = AgentReport("task-1", ("e1", "e2"), ("done", "skipped"), "stopped", 5, 4242)
DAEMON: dict[str, Any] = {"healthy": True, "outbox": {"pending": 0, "dead_letters": 0}}


def event(seq: int, event_id: str, kind: str = "step_status") -> BackendEvent:
    return BackendEvent(seq, event_id, kind, STOP.requested_at or "", STOP.requested_at or "", "task-1-1", "done", None)


TASK = BackendTask(
    "task-1",
    "A task",
    "interrupted",
    (BackendStep("task-1-1", 1, "one", "done", None), BackendStep("task-1-2", 2, "two", "skipped", None)),
    STOP,
    "ended",
    "process",
    (event(1, "e1"), event(2, "h1", "heartbeat"), event(3, "e2")),
)


def failures(task: BackendTask = TASK, request: Receipts = REQUEST, daemon: dict[str, Any] = DAEMON) -> list[str]:
    return [check.what for check in verdict.check(TOLD, request, task, daemon) if not check.holds]


def test_nothing_is_wrong_when_all_arrived() -> None:
    assert failures() == []


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (replace(TASK, events=TASK.events[:1]), "the agent sent the events"),
        (replace(TASK, events=(*TASK.events, event(4, "e2"))), "the agent sent the events"),
        (replace(TASK, events=TASK.events[::-1]), "the agent sent the events"),
        (replace(TASK, steps=TASK.steps[:1]), "the steps: 1 done"),
        (replace(TASK, stop=None), "the stop stop-1 is not"),
        (replace(TASK, stop=replace(STOP, interrupt_id="stop-2")), "the stop stop-1 is not"),
        (replace(TASK, stop=replace(STOP, seen_at=None)), "no receipt for: seen by the daemon"),
        (replace(TASK, stop=replace(STOP, seen_at="2026-01-02T03:04:04Z")), "the stop: requested"),
        (replace(TASK, stop=replace(STOP, ack_summary="else")), "the stop: requested"),
        (replace(TASK, status="running"), "the task is running"),
        (replace(TASK, liveness="alive"), "its agent alive"),
        (replace(TASK, evidence="command"), "on the evidence of its command"),
    ],
)
def test_what_is_wrong_with_the_task_is_named(task: BackendTask, what: str) -> None:
    (found,) = failures(task)
    assert what in found


@pytest.mark.parametrize(
    "daemon",
    [
        {"healthy": False, "outbox": {"pending": 0, "dead_letters": 0}},
        {"healthy": True, "outbox": {"pending": 1, "dead_letters": 0}},
        {"healthy": True, "outbox": {"pending": 0, "dead_letters": 2}},
    ],
)
def test_what_is_left_in_the_daemon_is_named(daemon: dict[str, Any]) -> None:
    (found,) = failures(daemon=daemon)
    assert found.startswith("in the daemon")

"""A history in words: repeats are one line, and none of what differs is lost in one."""

from __future__ import annotations

from clawlog.cli.render import history
from clawlog.cli.render.backend_views import BackendEvent, BackendTask

TASK = BackendTask.read(
    {
        "task_id": "t",
        "title": "t",
        "status": "running",
        "steps": [{"step_id": f"s{n}", "position": n, "title": f"part {n}", "status": "running"} for n in (1, 2, 3)],
    }
)


def event(number: int, kind: str, **about: object) -> BackendEvent:
    at = f"2026-01-02T03:04:{number:02}Z"
    return BackendEvent.read({"seq": number, "event_id": f"e{number}", "kind": kind, "at": at, "received_at": at, **about})


def told(*events: BackendEvent) -> list[tuple[str, int]]:
    return [(line.text, line.times) for line in history.folded(events, TASK)]


def test_beats_that_count_are_one_line_with_the_last_words() -> None:
    beats = [event(n, "heartbeat", summary=f"file {n}1 of 2,480") for n in range(1, 6)]
    assert told(*beats) == [("heartbeat: file 51 of 2,480", 5)]
    (line,) = history.folded(beats, TASK)
    assert (line.at[-3:], (line.until or "")[-3:]) == ("01Z", "05Z")
    assert [times for _, times in told(*beats[:2])] == [1, 1]  # two are no run


def test_other_words_another_step_or_another_status_begin_a_new_line() -> None:
    progress = {"done": 1, "total": 9}
    running = [event(n, "step_status", step_id="s1", status="running", progress={**progress, "done": n}) for n in range(1, 4)]
    done = [event(n + 3, "step_status", step_id=f"s{n}", status="done") for n in (1, 2, 3)]
    assert told(*running, *done) == [
        ("step 1 running: part 1 · 3/9", 3),
        ("step 1 done: part 1", 1),
        ("step 2 done: part 2", 1),
        ("step 3 done: part 3", 1),
    ]


def test_a_stop_is_told_with_who_asked_and_why() -> None:
    asked = event(1, "interrupt_requested", requested_by="anna", reason="wrong\nbranch")
    assert told(asked, event(2, "interrupt_requested")) == [("stop requested by anna: wrong branch", 1), ("stop requested", 1)]

"""A failure or loss that a person has seen no longer shouts at a terminal, whoever the terminal asks."""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.cli.render import daemon_lines, rows, states
from clawlog.cli.render.views import LivenessView, TaskView
from clawlog.connection.results import StopPhase, StopState

FAILED_AT = "2026-01-02T03:04:05Z"


def view(*, acknowledged: bool, status: str = "failed", life: str = "ended") -> TaskView:
    return TaskView(
        task_id="t",
        title="T",
        base_url="http://localhost:8000",
        status=status,
        summary=None,
        created_at=FAILED_AT,
        ended_at=FAILED_AT if status == "failed" else None,
        steps=(),
        liveness=LivenessView(life, None, FAILED_AT, None),
        stop=StopState(StopPhase.NONE),
        pending=0,
        delivered=True,
        acknowledged=acknowledged,
    )


@pytest.mark.parametrize(("status", "life"), [("failed", "ended"), ("running", "lost")])
def test_what_a_person_has_seen_is_dim_and_stands_behind_what_nobody_has(status: str, life: str) -> None:
    fresh, seen = (rows.of_daemon(view(acknowledged=each, status=status, life=life)) for each in (False, True))
    assert (fresh.needs_attention, fresh.style) == (True, "bold red")
    assert (seen.needs_attention, seen.style, seen.state) == (False, "dim", fresh.state)
    assert rows.by_attention([seen, fresh]) == [fresh, seen]
    assert rows.tally([seen, fresh]) == rows.tally([fresh])


def test_what_goes_on_again_is_not_dim_for_what_was_seen_before() -> None:
    assert rows.of_daemon(view(acknowledged=True, status="waiting", life="waiting")).needs_attention


@pytest.mark.parametrize(
    ("acknowledged", "line"),
    [((False, False), "Failed 2"), ((True, False), "Failed 1"), ((True, True), "nothing that nobody has seen")],
)
def test_the_fleets_line_counts_what_nobody_has_seen(
    acknowledged: tuple[bool, ...], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_lines.times, "age_s", lambda _: 60.0)
    tasks: list[dict[str, Any]] = [
        {
            "status": "failed",
            "liveness": {"state": "ended"},
            "stop": {"state": "none"},
            "ended_at": FAILED_AT,
            "acknowledged": each,
        }
        for each in acknowledged
    ]
    answer = {"tasks": {"known": 2, "live": 0, "lost": 0, "stopping": 0}}
    (shown,) = states.painted([daemon_lines.fleet(answer, {"tasks": []}, {"tasks": tasks})], colour=False)
    assert shown == (line if all(acknowledged) else f"{line} (24 h)")

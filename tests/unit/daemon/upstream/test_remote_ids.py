"""Which of the steps that a server lists is which of those that it was offered."""

from __future__ import annotations

from typing import Any

import pytest

from clawlogd.model import UNMAPPED, Event, EventKind, NewStep
from clawlogd.upstream.remote_ids import read_remote_ids

CREATED = Event("e", "t", EventKind.TASK_CREATED, "", title="T", steps=(NewStep("t-1", "a"), NewStep("t-2", "b")))
NEITHER = (UNMAPPED, UNMAPPED)


def step(step_id: object, **more: object) -> dict[str, object]:
    return {"step_id": step_id, **more}


@pytest.mark.parametrize(
    ("body", "task_id", "steps"),
    [
        ({"task_id": "t", "steps": [step("t-1"), step("t-2")]}, None, (None, None)),
        ({"task_id": "t", "steps": [step("t-2", position=1), step("t-1", position=2)]}, None, (None, None)),
        ({"task_id": 7, "steps": [step(9, position=2), step(8, position=1)]}, "7", ("8", "9")),
        ({"id": 7, "steps": [{"id": 9, "position": 1}, {"id": 8, "position": 0}]}, "7", ("8", "9")),
        ({"task_id": 7, "steps": [step(9, position="2"), step(8, position=" 1 ")]}, "7", ("8", "9")),
        ({"task_id": 7, "steps": [step(9, title="b"), step(8, title="a")]}, "7", ("8", "9")),
        ({"task_id": 7, "steps": [step(9, title="b"), step(8, title="c")]}, "7", (UNMAPPED, "9")),
        ({"task_id": 7, "steps": [step(9, position=1, title="b"), step(8, position=2, title="a")]}, "7", NEITHER),
        ({"task_id": 7, "steps": [step(8), step(9)]}, "7", NEITHER),
        ({"task_id": 7, "steps": [step(8, position=1), step(8, position=2)]}, "7", NEITHER),
        ({"task_id": 7, "steps": [step("a\nb", position=1), step(8, position=2)]}, "7", NEITHER),
        ({"task_id": 7, "steps": [step(8)]}, "7", NEITHER),
        ({"task_id": 7, "steps": "none"}, "7", NEITHER),
        ({"task_id": 7}, "7", ()),
        ({"task_id": 7, "steps": None}, "7", ()),
        ({"task_id": True, "steps": [1, None]}, None, NEITHER),
        ({"task_id": "x" * 65}, None, ()),
        ({}, None, ()),
        (None, None, ()),
        ([], None, ()),
        ("text", None, ()),
    ],
)
def test_the_ids_that_a_server_gives_out_are_read_where_they_differ(
    body: Any, task_id: str | None, steps: tuple[str | None, ...]
) -> None:
    found = read_remote_ids(CREATED, body)
    assert (found.task_id, found.steps) == (task_id, steps)

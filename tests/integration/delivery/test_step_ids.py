"""A server that gives steps ids of its own: each report goes to the step that is meant, or to none, never to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.hostile_server import Answer, Asked, HostileServer
from support.running_daemon import RunningDaemon, until

TITLES = ["check", "build", "ship"]
Shown = list[Any]


def steps(*order: int, position: Callable[[int], Any] = lambda place: place, titles: list[str] | None = None) -> Shown:
    """Steps as a server lists them: by place in the order given, with ids that tell which each is."""
    names = titles or TITLES
    return [{"step_id": f"id-{place}", "position": position(place), "title": names[place - 1]} for place in order]


def without(member: str, shown: Shown) -> Shown:
    return [{name: value for name, value in each.items() if name != member} for each in shown]


MAPPED: dict[str, Shown] = {
    "in order": steps(1, 2, 3),
    "in another order": steps(3, 1, 2),
    "positions as text": steps(3, 1, 2, position=str),
    "positions as padded text": steps(3, 1, 2, position=lambda place: f" 0{place} "),
    "positions as floats": steps(3, 1, 2, position=float),
    "positions from 0": steps(3, 1, 2, position=lambda place: place - 1),
    "no positions, titles": without("position", steps(3, 1, 2)),
    "positions all alike, titles": steps(3, 1, 2, position=lambda _: 1),
    "positions of words, titles": steps(3, 1, 2, position=lambda place: "abc"[place - 1]),
    "positions null, titles": steps(3, 1, 2, position=lambda _: None),
    "positions beyond all bounds, titles": steps(3, 1, 2, position=lambda place: 2**200 + place),
    "ids as integers": [{**each, "step_id": 7000 + each["position"]} for each in steps(3, 1, 2)],
}
UNMAPPED: dict[str, Shown] = {
    "nothing but ids": [{"step_id": f"id-{place}"} for place in (3, 1, 2)],
    "ids alone": ["id-3", "id-1", "id-2"],
    "one too few": steps(1, 2),
    "one too many": [*steps(1, 2, 3), {"step_id": "id-4", "position": 4, "title": "more"}],
    "one that is none": [*steps(1, 2), None],
    "other titles, no positions": without("position", steps(3, 1, 2, titles=["x", "y", "z"])),
    "two ids alike": [{**each, "step_id": "id-1"} for each in steps(3, 1, 2)],
    "ids missing": without("step_id", steps(3, 1, 2)),
}


async def told(
    daemon: RunningDaemon, server: HostileServer, shown: Any, titles: list[str], caplog: pytest.LogCaptureFixture
) -> dict[str, str]:
    """Which of the server's steps was told of which of the agent's, by their summaries."""

    def answer(asked: Asked) -> Answer | None:
        if asked.path == "/api/tasks":
            return Answer(201, {"task_id": "srv", "title": "T", "steps": shown})
        if "/steps/" in asked.path:
            known = {str(each.get("step_id")) for each in shown if isinstance(each, dict)}
            return Answer(200 if asked.parts[-1] in known else 404, {"detail": "no such step"})
        return Answer(200, {}) if asked.path.startswith("/api/tasks/srv") else None

    server.poison = answer
    await daemon.call("task.create", title="T", task_id="t", steps=titles, base_url=server.url)
    for position in range(1, len(titles) + 1):
        await daemon.call("step.update", task_id="t", step=position, status="running", summary=f"agent's {position}")
    await daemon.call("task.update", task_id="t", status="running", summary="over")
    await server.until(lambda: any(each.text.find("over") >= 0 for each in server.requests if each.method == "PATCH"))
    return {each.parts[-1]: each.body["summary"] for each in server.requests if "/steps/" in each.path}


@pytest.mark.parametrize("name", MAPPED)
async def test_a_step_is_found_by_position_or_title(
    daemon: RunningDaemon, hostile_plain: HostileServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = await told(daemon, hostile_plain, MAPPED[name], TITLES, caplog)
    prefix = "700" if "integers" in name else "id-"
    assert found == {f"{prefix}{place}": f"agent's {place}" for place in (1, 2, 3)}


@pytest.mark.parametrize("name", [*UNMAPPED, "titles twice, no positions"])
async def test_a_step_that_cannot_be_told_from_others_is_no_other(
    daemon: RunningDaemon, hostile_plain: HostileServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    if name in UNMAPPED:
        found = await told(daemon, hostile_plain, UNMAPPED[name], TITLES, caplog)
    else:
        same = ["same", "same", "ship"]
        found = await told(daemon, hostile_plain, without("position", steps(2, 1, 3, titles=same)), same, caplog)
        assert found.pop("id-3", None) == "agent's 3", "the one whose title is its own"
    assert not [each for each in found if each.startswith("id-")], found
    assert any("steps_unmapped" in each.getMessage() for each in caplog.records), "it is said"

    async def said() -> bool:
        return any("steps" in problem for problem in (await daemon.call("daemon.status"))["problems"])

    await until(said)

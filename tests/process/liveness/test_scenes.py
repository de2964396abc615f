"""Nothing dead is shown alive for long, and nothing alive is shown lost, whatever happens to agent, daemon and backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from process.liveness import scenes
from process.liveness.stage import QUICKLY, Record, Stage, staged

LONGEST_S = 20.0


@pytest.fixture
async def stage(folder: Path) -> AsyncIterator[Stage]:
    async with staged(folder, QUICKLY) as set_:
        yield set_


def true_to_life(record: Record) -> None:
    assert record.names[0] in {"alive", "quiet"}
    if record.dies:
        assert record.shown_alive_s <= LONGEST_S
        assert "alive" not in record.names[1:]
    else:
        assert "lost" not in record.names


async def test_a_killed_agent_is_lost_at_once_with_the_reason(stage: Stage) -> None:
    record = await scenes.agent_killed(stage)
    true_to_life(record)
    assert record.names == ["alive", "lost"]
    assert record.after_s("lost") < 3
    assert record.states[-1].reason == f"process {stage.agents[0].pid} ended without finishing the task"


async def test_an_agent_that_named_no_process_is_lost_when_its_lease_runs_out(stage: Stage) -> None:
    record = await scenes.agent_killed_unwatched(stage)
    true_to_life(record)
    assert record.names == ["alive", "lost"]
    at = {event["kind"]: datetime.fromisoformat(event["at"]) for event in (await stage.api.get("t"))["events"]}
    assert timedelta(seconds=4.9) <= at["agent_lost"] - at["task_created"] <= timedelta(seconds=10)
    assert record.states[-1].reason == "no word from the agent within its lease of 5 s"


async def test_a_stopped_agent_is_stalled_by_the_next_beat_and_alive_once_it_goes_on(stage: Stage) -> None:
    record = await scenes.agent_stopped(stage)
    true_to_life(record)
    assert record.names == ["alive", "stalled", "alive"]
    assert record.after_s("stalled") < 4


async def test_a_hung_agent_is_stalled(stage: Stage) -> None:
    record = await scenes.agent_hung(stage)
    true_to_life(record)
    assert record.names == ["alive", "stalled"]


async def test_a_finished_agent_is_ended_and_no_beat_comes_after_it(stage: Stage) -> None:
    record = await scenes.agent_finished(stage)
    true_to_life(record)
    assert record.names == ["alive", "ended"]
    assert record.beats_after_end == 0


async def test_without_its_daemon_an_agent_is_quiet_and_never_lost(stage: Stage) -> None:
    record = await scenes.daemon_killed(stage)
    true_to_life(record)
    assert record.names == ["alive", "quiet"]


async def test_when_its_daemon_is_back_a_living_agent_is_alive_at_once(stage: Stage) -> None:
    record = await scenes.daemon_restarted(stage)
    true_to_life(record)
    assert record.names == ["alive", "quiet", "alive"]


async def test_an_agent_that_died_while_no_daemon_ran_is_lost_when_one_is_back(stage: Stage) -> None:
    record = await scenes.agent_died_while_no_daemon_ran(stage)
    true_to_life(record)
    assert record.names == ["quiet", "lost"]


async def test_a_process_that_has_the_agents_number_is_not_taken_for_it(stage: Stage) -> None:
    record = await scenes.pid_reused(stage)
    true_to_life(record)
    assert record.names == ["quiet", "lost"]


async def test_a_backend_that_comes_back_shows_the_living_alive_within_a_beat_and_no_beats_of_the_past(stage: Stage) -> None:
    record = await scenes.backend_down(stage)
    true_to_life(record)
    assert record.names[-1] == "alive"
    beats = [event for event in (await stage.api.get("t"))["events"] if event["kind"] == "heartbeat"]
    for beat in beats:
        assert beat["received_at"][:19] >= beat["at"][:19]
    left, back = stage.away
    assert left < back
    assert not [beat for beat in beats if left < beat["at"] < back]


async def test_after_an_hour_of_sleep_nobody_is_lost(stage: Stage) -> None:
    record = await scenes.laptop_suspended(stage)
    true_to_life(record)
    assert record.names == ["alive", "quiet", "alive"]

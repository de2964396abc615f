"""Heartbeats: which ones a history keeps, what the kept ones stand for, and what a repeat or a late one changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import migrations, queries
from clawlog_backend.storage.unit_of_work import EventOutcome, TaskStore

START = UtcMs.parse("2026-02-28T09:00:00Z")
BEAT_MS = 15_000


class Agent:
    """One task, and the heartbeats that are sent for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._store = TaskStore()
        self._ids = itertools.count(1)
        self.now = START
        self._send({"kind": "task_created", "title": "T"})

    def _send(self, fields: dict[str, Any]) -> EventOutcome:
        common = {"event_id": f"e{next(self._ids)}", "task_id": "t", "at": self.now.rfc3339()}
        applied = self._store.apply(self._connection, [batch_event.validate_python(common | fields)], self.now)
        self._store.committed()
        return applied.outcomes[0]

    def beat(self, *, after_ms: int = BEAT_MS, **fields: Any) -> EventOutcome:
        self.now = self.now.plus(ms=after_ms)
        told = {"agent_seen_at": START.rfc3339(), "evidence": "process", "pid": 42}
        return self._send({"kind": "heartbeat"} | told | fields)

    def forget(self) -> None:
        """Have the next event read what it needs."""
        self._store.rolled_back()

    def kept(self) -> list[Any]:
        return [e for e in queries.task_detail(self._connection, "t", now=self.now).events if e["kind"] == "heartbeat"]

    def liveness(self) -> Any:
        return queries.task_detail(self._connection, "t", now=self.now).liveness


@pytest.fixture
def agent() -> Iterator[Agent]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        yield Agent(connection)
    engine.dispose()


def test_of_beats_alike_one_in_five_minutes_is_kept_and_says_for_how_many_it_stands(agent: Agent) -> None:
    for n in range(100):
        agent.beat()
        if n % 7 == 0:
            agent.forget()
    assert [beat["beats"] for beat in agent.kept()] == [1, 20, 20, 20, 20]
    assert not any("gap_since" in beat for beat in agent.kept())
    assert agent.liveness().vouched_at == agent.now


@pytest.mark.parametrize("news", [{"evidence": "command"}, {"stalled": True}, {"pid": 43}, {"summary": "writing"}], ids=str)
def test_a_beat_that_says_something_else_is_kept_once(agent: Agent, news: dict[str, Any]) -> None:
    for fields in ({}, {}, news, news, news):
        agent.beat(**fields)
    assert [beat["beats"] for beat in agent.kept()] == [1, 2]
    assert agent.kept()[-1].items() >= news.items()


def test_a_beat_after_a_gap_is_kept_and_says_since_when_there_was_none(agent: Agent) -> None:
    agent.beat()
    agent.beat()
    last = agent.now
    agent.beat(after_ms=20_001)
    agent.beat(after_ms=20_000)
    assert [(beat["beats"], beat.get("gap_since")) for beat in agent.kept()] == [(1, None), (2, last.rfc3339())]


def test_a_repeat_of_the_newest_beat_is_known_as_one_whether_it_was_kept_or_not(agent: Agent) -> None:
    kept, passed = agent.beat(), agent.beat()
    agent.forget()
    again = agent.beat(event_id=passed.event_id)
    assert (again.status, again.same) == ("duplicate", True)
    assert agent.beat(event_id=passed.event_id, pid=7).same is False
    assert agent.beat(event_id=kept.event_id).status == "duplicate"
    assert [beat["beats"] for beat in agent.kept()] == [1]


def test_a_beat_that_was_overtaken_changes_the_time_of_the_last_sign_alone(agent: Agent) -> None:
    agent.beat(pid=1)
    agent.beat(pid=2)
    sent = agent.now.plus(ms=-BEAT_MS).rfc3339()
    agent.beat(after_ms=1_000, pid=1, at=sent, summary="long past")
    liveness = agent.liveness()
    assert (liveness.pid, liveness.vouched_at) == (2, agent.now)
    assert [beat["pid"] for beat in agent.kept()] == [1, 2]

"""What is remembered of tasks takes a bounded amount of memory, whatever agents make of their tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

import clawlog_backend.storage.unit_of_work
from clawlog_backend.domain.events import Event, batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage.engines.sqlite import make_engine
from clawlog_backend.storage.migrations import migrate
from clawlog_backend.storage.task_cache import TaskCache
from clawlog_backend.storage.unit_of_work import EventStatus, TaskStore

NOW = UtcMs.parse("2026-01-01T00:00:00Z")
BOUND = 1_000_000
LONG = "t" * 200
STEPS = 100


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = make_engine("sqlite://")
    with engine.connect() as connection:
        with connection.begin():
            migrate(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> TaskCache:
    cache = TaskCache(BOUND)
    monkeypatch.setattr(clawlog_backend.storage.unit_of_work, "TaskCache", lambda: cache)
    return cache


def event(kind: str, number: int, event_id: str, **members: object) -> Event:
    common = {"event_id": f"{event_id}-{number}", "task_id": f"t{number}", "kind": kind, "at": NOW.rfc3339()}
    return batch_event.validate_python(common | members)


def created(number: int, *, steps: int, title: str = "Step") -> Event:
    return event("task_created", number, "c", title="T", steps=[{"step_id": f"s{k}", "title": title} for k in range(steps)])


def apply(store: TaskStore, connection: Connection, *events: Event) -> None:
    with connection.begin():
        applied = store.apply(connection, events, NOW)
    assert {outcome.status for outcome in applied.outcomes} == {EventStatus.OK}
    store.committed()


def test_few_large_tasks_are_remembered_or_many_small_ones(connection: Connection, cache: TaskCache) -> None:
    store = TaskStore()
    apply(store, connection, *(created(n, steps=1) for n in range(500)))
    small = len(cache)
    apply(store, connection, *(created(n, steps=STEPS, title=LONG) for n in range(500, 600)))
    large = len(cache)
    assert 400 < small <= 500
    assert 5 < large < BOUND // STEPS // len(LONG)
    assert "t599" in cache
    assert "t500" not in cache
    assert cache.bytes <= BOUND
    # What is not remembered any more is loaded, and weighs as before.
    apply(store, connection, event("step_status", 0, "s", step_id="s0", status="running"))
    assert "t0" in cache
    assert cache.bytes <= BOUND


def test_tasks_that_grow_once_they_are_remembered_take_no_more_in_all(connection: Connection, cache: TaskCache) -> None:
    store = TaskStore()
    for n in range(30):
        apply(store, connection, created(n, steps=STEPS))
    assert len(cache) == 30
    for n in range(30):
        apply(store, connection, *(
            event("step_status", n, f"s{k}", step_id=f"s{k}", status="running", summary=LONG) for k in range(STEPS)
        ))  # fmt: skip
    remembered = [cache[task_id] for task_id in (f"t{n}" for n in range(30)) if task_id in cache]
    assert sum(len(step.summary or "") for task in remembered for step in task.steps.values()) < BOUND
    assert 10 < len(cache) < 30


def test_what_is_removed_or_rolled_back_weighs_nothing(connection: Connection, cache: TaskCache) -> None:
    store = TaskStore()
    apply(store, connection, created(1, steps=3), created(2, steps=3))
    of_both = cache.bytes
    with connection.begin():
        store.remove(connection, [1], NOW)
    store.committed()
    assert cache.bytes == of_both // 2
    store.rolled_back()
    assert (cache.bytes, len(cache)) == (0, 0)

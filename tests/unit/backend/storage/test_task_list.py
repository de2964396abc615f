"""The list of tasks: everything that it is narrowed to and sorted by is found by an index, and its pages have no gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Connection, create_engine, event

from clawlog_backend.domain.errors import ForeignCursor
from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import AttentionFilter, Filter, Sort
from clawlog_backend.storage import migrations, task_list
from clawlog_backend.storage.task_list import Query
from clawlog_backend.storage.unit_of_work import TaskStore

NOW = UtcMs.parse("2026-02-28T09:00:00Z")
NARROWED = [
    *(Query(status=which) for which in Filter if which is not Filter.ALL),
    *(Query(attention=which) for which in AttentionFilter),
    Query(host="x"),
    Query(project="x"),
    Query(agent="x"),
    Query(parent="x"),
    Query(since=NOW),
    Query(until=NOW),
    Query(since=NOW, until=NOW),
    Query(id_suffix="7c11"),
]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        yield connection
    engine.dispose()


def plan_of(connection: Connection, query: Query, sort: Sort, cursor: str | None = None) -> list[str]:
    """How SQLite would find one page."""
    place = None if cursor is None else tuple(map(int, cursor.rpartition(f"{sort.value}_")[2].split("_")))
    chosen = task_list.selected(query, now=NOW, sort=sort, limit=51, place=place)
    compiled = chosen.compile(connection, compile_kwargs={"literal_binds": True})
    return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


@pytest.mark.parametrize("query", NARROWED, ids=str)
def test_whatever_a_list_is_narrowed_to_is_found_by_an_index(connection: Connection, query: Query) -> None:
    plan = plan_of(connection, query, Sort.CREATED)
    assert not [line for line in plan if line.startswith("SCAN") and not line.startswith("SCAN anon")], plan
    assert any("INDEX tasks_by" in line for line in plan), plan


def test_the_tasks_of_a_status_are_read_in_their_order_and_only_as_many_as_are_shown(connection: Connection) -> None:
    """However many there are: what is sorted is at most a page of each status."""
    for which in (Filter.FAILED, Filter.DONE, Filter.RUNNING):
        for cursor in (None, "7"):
            plan = plan_of(connection, Query(status=which), Sort.CREATED, cursor)
            assert any("INDEX tasks_by_status (status=?" in line for line in plan), plan
            assert not any("TEMP B-TREE" in line for line in plan), plan
    for which, index in ((Filter.STOPPING, "tasks_by_stop"), (Filter.STALE, "tasks_by_loss")):
        plan = plan_of(connection, Query(status=which), Sort.CREATED)
        assert any(index in line for line in plan), plan


def test_counts_are_kept_and_no_task_is_walked_for_them(connection: Connection) -> None:
    """Beside the kept ones, only those are looked at that fell silent within the last minute."""
    asked: list[tuple[str, Sequence[object]]] = []
    listener = lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters))  # noqa: E731 - removed below
    event.listen(connection.engine, "before_cursor_execute", listener)
    task_list.count_tasks(connection, now=NOW, tally={})
    event.remove(connection.engine, "before_cursor_execute", listener)
    ((statement, parameters),) = asked
    plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))]
    (line,) = plan  # nor are they sorted
    assert line.startswith("SEARCH tasks USING INDEX tasks_by_no_signal_since")


READ_WHOLE = "SEARCH liveness USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN"
CURSORS = {Sort.CREATED: "7", Sort.ATTENTION: "attention_-1_7", Sort.UPDATED: "updated_5_7"}


@pytest.mark.parametrize(("sort", "cursor"), CURSORS.items())
def test_every_order_is_read_from_an_index_without_sorting(connection: Connection, sort: Sort, cursor: str) -> None:
    for given in (None, cursor):
        plan = plan_of(connection, task_list.EVERYTHING, sort, given)
        numbers = plan[plan.index("LIST SUBQUERY 1") + 1 : plan.index(READ_WHOLE)]
        assert not [line for line in numbers if "TEMP B-TREE" in line], plan
    assert numbers[0].startswith("SEARCH"), "a later page begins where the one before ended"


@pytest.mark.parametrize("sort", Sort)
def test_a_cursor_is_bound_to_its_order(connection: Connection, sort: Sort) -> None:
    for of, cursor in CURSORS.items():
        if of is sort:
            task_list.list_tasks(connection, now=NOW, limit=1, sort=sort, cursor=cursor)
        else:
            with pytest.raises(ForeignCursor):
                task_list.list_tasks(connection, now=NOW, limit=1, sort=sort, cursor=cursor)
    for wrong in ("", "x", "_", "updated_5", "updated_5_7_9", "attention_x_1", "-", "9" * 30, "updated_٣_7", "7_7"):
        with pytest.raises(ForeignCursor):
            task_list.list_tasks(connection, now=NOW, limit=1, sort=sort, cursor=wrong)


def test_each_order_shows_every_task_once_page_by_page(connection: Connection) -> None:
    store = TaskStore()
    events = []
    for n in range(30):
        common = {"task_id": f"t{n:02}", "at": NOW.plus(ms=(n * 7) % 11).rfc3339()}
        events.append(common | {"event_id": f"c{n}", "kind": "task_created", "title": "T"})
        if n % 3:
            status = ["running", "waiting", "failed", "done"][n % 4]
            events.append(common | {"event_id": f"s{n}", "kind": "task_status", "status": status})
        if n % 5 == 0:
            events.append(common | {"event_id": f"l{n}", "kind": "agent_lost"})
    store.apply(connection, [batch_event.validate_python(event) for event in events], NOW)
    for sort in Sort:
        seen, cursor = [], None
        while True:
            page = task_list.list_tasks(connection, now=NOW, limit=4, sort=sort, cursor=cursor)
            seen += page.tasks
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(task.task_id for task in seen) == [f"t{n:02}" for n in range(30)], sort
        if sort is Sort.UPDATED:
            assert [task.updated_at for task in seen] == sorted((task.updated_at for task in seen), reverse=True)
        if sort is Sort.ATTENTION:
            order = ["waiting", "lost", "failed", None]
            reasons = [order.index(task.attention and task.attention.reason) for task in seen]
            assert reasons == sorted(reasons)

"""Search: what it finds, whatever the script, the case and the length; and that the index follows the tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, delete, event, update

from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import Filter, Sort
from clawlog_backend.storage import migrations, schema, task_list
from clawlog_backend.storage.engines.address import database_url
from clawlog_backend.storage.search import find, postgresql
from clawlog_backend.storage.search.documents import refresh
from clawlog_backend.storage.search.text import document, folded, needle, trigrams
from clawlog_backend.storage.unit_of_work import TaskStore
from support.engines import POSTGRESQL
from support.postgres_cluster import PostgresCluster

UNHURRIED = settings(deadline=None)  # the machine may be busy
NOW = UtcMs.parse("2026-02-28T09:00:00Z")
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("ab 部署-_ßİﬃＡ한"), max_size=40)


def finds(query: str, *texts: str) -> bool:
    wanted = needle(query)
    return wanted is not None and wanted in document(texts)


@UNHURRIED
@given(LINES)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@UNHURRIED
@given(st.lists(LINES, max_size=4), st.data())
def test_any_part_of_three_characters_or_more_is_found(texts: list[str], data: st.DataObject) -> None:
    text = folded(data.draw(st.sampled_from(texts or [""])))
    begin = data.draw(st.integers(0, len(text)))
    part = text[begin : data.draw(st.integers(begin, len(text)))]
    if len(part.strip()) >= 3 and folded(part) == part.strip():
        assert finds(part, *texts)


@UNHURRIED
@given(st.lists(LINES, max_size=4), LINES)
def test_nothing_is_found_that_no_text_holds(texts: list[str], query: str) -> None:
    if finds(query, *texts):
        assert any(folded(query) in folded(text) for text in texts)


@UNHURRIED
@given(LINES)
def test_a_needle_is_found_by_its_trigrams(query: str) -> None:
    wanted = needle(query)
    if wanted is not None:
        assert trigrams(wanted)
        assert all(part in wanted and len(part) == 3 for part in trigrams(wanted))


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("部署", "重新部署网站", True),
        ("部", "重新部署网站", True),
        ("署网站", "重新部署网站", True),
        ("网部", "重新部署网站", False),
        ("배", "서버배포", True),
        ("de", "Redeploy or deploy", True),
        ("de", "Redeploy", False),
        ("deplo", "Redeploy", True),
        ("D", "redeploy, deploy", True),
        ("d", "redeploy", False),
        ("c+", "in C++", True),
        ("v部", "v部署", True),
        ("STRASSE", "Hauptstraße", True),
        ("ｇｐｕ", "GPU-7", True),
        ("the  web", "the web", True),
        ("", "anything", False),
        ("  ", "anything", False),
    ],
)
def test_what_is_found_and_what_is_not(query: str, text: str, found: bool) -> None:
    assert finds(query, "another text", text) is found


# ── In the database ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _sqlite() -> Engine:
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = ON"))
    return engine


@pytest.fixture(scope="module", params=["sqlite", POSTGRESQL])
def filled(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A database of 60 tasks, of which every tenth is named otherwise."""
    on_sqlite = request.param == "sqlite"
    engine = _sqlite() if on_sqlite else create_engine(database_url(request.getfixturevalue("postgres").empty_database()))
    with engine.connect() as connection:
        migrations.migrate(connection)
        store = TaskStore()
        events = []
        for n in range(60):
            common = {"task_id": f"task-{n:04}", "at": NOW.rfc3339()}
            title = f"部署 {n}" if n % 10 == 0 else f'Build "part" {n} of 100%'
            facts = {"title": title, "steps": [{"step_id": f"s{n}", "title": "Lint_all"}], "metadata": {"host": f"gpu-{n % 7}"}}
            events.append(common | {"event_id": f"c{n}", "kind": "task_created"} | facts)
            told = {"step_id": f"s{n}", "status": ("running", "done")[n % 2], "summary": f"reached Ümlaut {n}"}
            events.append(common | {"event_id": f"s{n}", "kind": "step_status"} | told)
        store.apply(connection, [batch_event.validate_python(each) for each in events], NOW)
        refresh(connection, range(1, 61))
        connection.commit()
        yield connection
    engine.dispose()


def found_by(connection: Connection, text: str, **narrowed: object) -> list[str]:
    query = task_list.Query(text=text, **narrowed)  # type: ignore[arg-type]  # each case names a field of it
    return task_list.task_ids(connection, query, now=NOW, limit=100)


@pytest.mark.parametrize("few", [1_000, 0], ids=["what few tasks hold", "what many hold"])
def test_a_task_is_found_by_all_that_is_known_of_it(filled: Connection, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_FEW", few)
    for text, number in {
        "部署": 6, "部": 6, "部署 30": 1, "BUILD": 54, "bu": 54, "uild": 54, "il": 0, '"part" 33': 1, "100%": 54, '"': 54,
        "t_all": 60, "tXall": 0, "gpu-3": 9, "ümlaut 4": 11, "task-0042": 1, "0042": 1, "s7": 1, "absent": 0, "AND": 0,
        "\0": 0, "abc\0": 0, " ": 60,
    }.items():  # fmt: skip
        assert len(found_by(filled, text)) == number, text
    assert found_by(filled, "部署", status=Filter.RUNNING, host="gpu-3") == ["task-0010"]


@pytest.mark.parametrize("few", [1_000, 3], ids=["what few tasks hold", "what many hold"])
@pytest.mark.parametrize("sort", Sort)
def test_the_pages_of_a_search_have_no_gaps(filled: Connection, sort: Sort, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "_FEW", few)
    monkeypatch.setattr(find, "_SORTED", 2 * few)
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        page = task_list.list_tasks(filled, task_list.Query(text="gpu-3"), now=NOW, limit=4, sort=sort, cursor=cursor)
        seen += [task.task_id for task in page.tasks]
        cursor = page.next_cursor
    assert sorted(seen) == [f"task-{n:04}" for n in range(3, 60, 7)]


def test_the_index_is_asked_and_not_every_document(filled: Connection) -> None:
    """However many tasks there are, a search reads the documents that the index names."""
    asked: list[tuple[str, Sequence[object]]] = []
    listener = lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters))  # noqa: E731 - removed below
    event.listen(filled.engine, "before_cursor_execute", listener)
    found_by(filled, "gpu-3")
    event.remove(filled.engine, "before_cursor_execute", listener)
    statement, parameters = asked[0]
    if filled.dialect.name == "postgresql":
        with filled.begin_nested() as undone:
            filled.exec_driver_sql("SET LOCAL enable_seqscan = off")  # 60 documents are quicker looked at than an index
            plan = [row[0] for row in filled.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
            undone.rollback()
        assert any("Index Scan on documents_trigrams" in line for line in plan), plan
        return
    plan = [row.detail for row in filled.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))]
    assert any("VIRTUAL TABLE INDEX" in line for line in plan), plan
    assert not any(line.startswith("SCAN documents") or "TEMP B-TREE" in line for line in plan), plan


def test_a_page_of_the_newest_is_had_from_the_index_though_many_tasks_hold_what_is_searched_for(
    filled: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk through the newest tasks would be long where those that hold it are old."""
    monkeypatch.setattr(find, "_FIRST", 4)
    monkeypatch.setattr(find, "_FEW", 4)
    asked: list[str] = []
    listener = lambda _c, _cursor, statement, *_: asked.append(statement)  # noqa: E731 - removed below
    event.listen(filled.engine, "before_cursor_execute", listener)
    page = task_list.list_tasks(filled, task_list.Query(text="gpu-3"), now=NOW, limit=3)
    event.remove(filled.engine, "before_cursor_execute", listener)
    assert [task.task_id for task in page.tasks] == ["task-0059", "task-0052", "task-0045"]
    assert not any("EXISTS" in statement for statement in asked)


def test_the_index_follows_what_changes_and_what_is_removed(filled: Connection) -> None:
    number = 42
    changed = update(schema.tasks).where(schema.tasks.c.n == number)
    with filled.begin_nested() as undone:
        filled.execute(changed.values(title="Renamed"))
        assert found_by(filled, "renamed") == []
        refresh(filled, [number])
        assert found_by(filled, "renamed") == ["task-0041"]
        assert found_by(filled, "build 41") == found_by(filled, '"part" 41') == []
        filled.execute(delete(schema.tasks).where(schema.tasks.c.n == number))
        refresh(filled, [number])
        assert found_by(filled, "renamed") == []
        if filled.dialect.name == "sqlite":
            filled.exec_driver_sql("INSERT INTO trigrams(trigrams, rank) VALUES ('integrity-check', 1)")
        undone.rollback()


@pytest.mark.xdist_group("postgres")
def test_without_the_extension_a_search_finds_the_same_and_the_log_says_what_is_missing(
    postgres: PostgresCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgresql, "_STATEMENTS", ("CREATE EXTENSION no_such_extension",))
    engine = create_engine(database_url(postgres.empty_database()))
    with engine.connect() as connection:
        migrations.migrate(connection)
        assert "no index for the search" in caplog.text
        common = {"event_id": "c", "task_id": "t1", "at": NOW.rfc3339(), "kind": "task_created", "title": "部署 it"}
        TaskStore().apply(connection, [batch_event.validate_python(common)], NOW)
        refresh(connection, [1])
        assert found_by(connection, "部署") == found_by(connection, "it") == ["t1"]
    engine.dispose()

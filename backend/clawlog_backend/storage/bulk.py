"""Many rows and many values in one statement, where the engine is PostgreSQL.

They go as arrays, so that a statement's text is the same however many there are. An array is written as text here: what the
driver does for each value costs more than all that the server does with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Connection, Integer, Table, Text, any_, bindparam, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.dml import Delete, Insert, Update

from clawlog_backend.storage.pipeline import Sent, send

_Write = Callable[[Collection[Any]], str]


def among(connection: Connection, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of these values."""
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    is_text = _type(column) == "text"
    given = bindparam(None, (_texts if is_text else _integers)(values), type_=Text(), unique=True)
    return column == any_(cast(given, ARRAY(Text() if is_text else BigInteger())))


def run(
    connection: Connection, statement: Insert | Update | Delete, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement for all rows at once.

    Args:
        connection: In a transaction.
        statement: An INSERT of the named columns, an UPDATE of them, or a DELETE; those that begin with
            ``key_`` are its condition.
        names: What the values of a row are for, in their order.
        rows: The values; at least one.
    """
    text, writers = _text(statement, names)
    columns = zip(*rows, strict=True)
    send(connection, text, [write(column) for column, write in zip(columns, writers, strict=True)])


def lock_tasks(connection: Connection, task_ids: Collection[str]) -> Sent:
    """Keep other replicas from these tasks until the transaction ends; of each that there is, the id and the version."""
    return send(connection, _LOCK_TASKS, [_texts(task_ids)])


def find_events(connection: Connection, event_ids: Collection[str]) -> Sent:
    """Those of these events that were stored: the id, the task's number, the kind, the task's status, the details."""
    return send(connection, _FIND_EVENTS, [_texts(event_ids)])


_LOCK_TASKS = """
SELECT t.task_id, l.version FROM tasks t JOIN liveness l ON l.task_n = t.n
  WHERE t.task_id = ANY(%s::text[]) ORDER BY t.n FOR UPDATE"""

# Each is looked for by itself, in the one partition that may hold it. Asked for all at once, a server that knows little of its
# tables reads them whole: for a thousand ids that costs less than what it expects of the index, until they have grown.
_FIND_EVENTS = """
SELECT found.* FROM unnest(%s::text[]) AS given(id) CROSS JOIN LATERAL
  (SELECT event_id, task_n, kind, task_status, detail FROM events WHERE event_id = given.id LIMIT 1) AS found"""


@lru_cache(maxsize=64)
def _text(statement: Insert | Update | Delete, names: tuple[str, ...]) -> tuple[str, tuple[_Write, ...]]:
    table = statement.table
    assert isinstance(table, Table)  # noqa: S101 - a statement of this package is of one table
    types = [_type(table.c[name.removeprefix("key_")]) for name in names]
    given = "unnest(" + ", ".join(f"%s::{each}[]" for each in types) + ")"
    if isinstance(statement, Insert):
        text = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM {given}"  # noqa: S608 - names of the schema
    else:
        changed = ", ".join(f"{name} = v.{name}" for name in names if not name.startswith("key_"))
        keys = " AND ".join(f"t.{name.removeprefix('key_')} = v.{name}" for name in names if name.startswith("key_"))
        rest = f"{given} AS v({', '.join(names)}) WHERE {keys}"
        if isinstance(statement, Update):
            text = f"UPDATE {table.name} AS t SET {changed} FROM {rest}"  # noqa: S608 - as above
        else:
            text = f"DELETE FROM {table.name} AS t USING {rest}"  # noqa: S608 - as above
    writers: dict[str, _Write] = {"text": _texts, "bool": _booleans}
    return text, tuple(writers.get(each, _integers) for each in types)


def _type(column: Column[Any]) -> str:
    match column.type:
        case Boolean():
            return "bool"
        case BigInteger():
            return "int8"
        case Integer():
            return "int4"
        case _:
            return "text"


# ── An array as PostgreSQL reads it ─────────────────────────────────────────────────────────────────────────────────────


def _integers(values: Collection[int | None]) -> str:
    # int's own form, whatever kind of integer it is (an instant, a status).
    return "{" + ",".join(["NULL" if value is None else int.__repr__(value) for value in values]) + "}"


def _booleans(values: Collection[bool | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else "t" if value else "f" for value in values]) + "}"


def _texts(values: Collection[str | None]) -> str:
    if not values:
        return "{}"
    if None in values:
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in values]) + "}"
    # All at once, with what no text holds between them.
    joined = _escaped("\0".join(values))  # type: ignore[arg-type]
    if joined.count("\0") != len(values) - 1:
        raise ValueError("a text holds NUL, which PostgreSQL does not take")
    return '{"' + joined.replace("\0", '","') + '"}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')

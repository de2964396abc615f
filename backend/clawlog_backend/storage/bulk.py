"""Many rows and many values in one statement, where the engine is PostgreSQL.

They go as arrays, so that a statement's text is the same however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Connection, Integer, Table, Text, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.dml import Delete, Insert, Update


def among(connection: Connection, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of these values."""
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    kind = ARRAY(Text() if _type(column) == "text" else BigInteger())
    return column == any_(bindparam(None, list(values), type_=kind, unique=True))


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
    text, types = _text(statement, names)
    columns = zip(*rows, strict=True)
    # The driver takes no list of an integer and of a kind of integer (an instant, a status) side by side.
    values = [[None if v is None else convert(v) for v in column] for column, convert in zip(columns, types, strict=True)]
    connection.exec_driver_sql(text, tuple(values))


@lru_cache(maxsize=64)
def _text(statement: Insert | Update | Delete, names: tuple[str, ...]) -> tuple[str, tuple[type, ...]]:
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
    return text, tuple({"text": str, "bool": bool}.get(each, int) for each in types)


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

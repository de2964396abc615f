"""SQLite's index of three characters each (FTS5, trigram).

It stores for each three characters the tasks, and not the places: half the disk and half the time of an update. What it finds
is therefore looked at once more by the caller.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Select, Table, Text, select

from clawlog_backend.storage.schema import documents
from clawlog_backend.storage.search.text import trigrams

# Triggers keep it with the table, whoever writes that: a task that is removed takes its document with it.
_STATEMENTS = """
CREATE VIRTUAL TABLE trigrams USING fts5(text, content='documents', content_rowid='task_n', detail=none, columnsize=0,
    tokenize='trigram case_sensitive 1');

CREATE TRIGGER documents_inserted AFTER INSERT ON documents BEGIN
    INSERT INTO trigrams(rowid, text) VALUES (new.task_n, new.text);
END;

CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
    INSERT INTO trigrams(trigrams, rowid, text) VALUES ('delete', old.task_n, old.text);
END;

CREATE TRIGGER documents_updated AFTER UPDATE OF text ON documents BEGIN
    INSERT INTO trigrams(trigrams, rowid, text) VALUES ('delete', old.task_n, old.text);
    INSERT INTO trigrams(rowid, text) VALUES (new.task_n, new.text);
END
"""
_trigrams = Table("trigrams", MetaData(), Column("rowid", Integer), Column("trigrams", Text))


class Trigrams:
    """See :class:`clawlog_backend.storage.search.engine.TextIndex`."""

    newest_first = True

    def create(self, connection: Connection) -> None:
        """Make the index, and the triggers by which it follows the table."""
        for statement in _STATEMENTS.strip().split(";\n\n"):
            connection.exec_driver_sql(statement)

    def candidates(self, needle: str) -> Select[Any]:
        """The tasks whose documents hold all of the needle's trigrams, the newest first."""
        every = " AND ".join('"' + part.replace('"', '""') + '"' for part in trigrams(needle))
        found = select(documents.c.task_n).join_from(_trigrams, documents, documents.c.task_n == _trigrams.c.rowid)
        return found.where(_trigrams.c.trigrams.op("MATCH")(every)).order_by(_trigrams.c.rowid.desc())

"""Which database a person named, and with which engine it is reached. A password is never among what is passed on or shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from clawlog_backend.storage.engines.engine import DatabaseError

_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


class EngineName(StrEnum):
    """The engines that there are."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def database_url(text: str) -> URL:
    """The SQLAlchemy URL for what a user named: a URL as it is, anything else as the path of an SQLite file.

    Raises:
        DatabaseError: It is a URL of no engine that there is, or none at all.
    """
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    scheme = text.partition("://")[0]
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(f"cannot read the database's URL, which begins with {scheme}://: {_EXPECTED}") from error
    if scheme == "sqlite":
        return url
    if scheme in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseError(f"no engine for a database URL of {scheme}://: {_EXPECTED}")


def engine_of(url: URL) -> EngineName:
    """The engine that a database's URL names."""
    return EngineName(url.get_backend_name())


def shown(url: URL) -> str:
    """A database's URL as it may be logged."""
    if engine_of(url) is EngineName.SQLITE:
        return url.render_as_string(hide_password=True)
    hidden = url.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
    return hidden.render_as_string(hide_password=True)


_EXPECTED = (
    "expected the path of an SQLite file, or a URL such as postgresql://clawlog@db.example.com/clawlog "
    "(sqlite:///FILE is one, too)"
)

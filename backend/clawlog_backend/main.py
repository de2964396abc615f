"""The backend's command line: reads flags and environment, runs the server, turns faults into a line and an exit status."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clawlog_backend import __version__, event_loop
from clawlog_backend.settings import (
    DEFAULT_HOST,
    DEFAULT_KEEP_DAYS,
    DEFAULT_POOL,
    DEFAULT_PORT,
    DEFAULT_REQUESTS_PER_S,
    LARGEST_POOL,
    SMALLEST_POOL,
    Settings,
    SettingsError,
    check_shown_database,
    default_database,
    read_token,
)

if TYPE_CHECKING:
    from clawlog_backend.storage.engines.engine import SchemaVersions

EXIT_OUTDATED = 1
EXIT_USAGE = 2
EXIT_FAILED = 69

_EPILOG = """\
environment:
  CLAWLOG_TOKEN_FILE, CLAWLOG_TOKEN   the access token; required on any address but a loopback one
  CLAWLOG_STATE_DIR                   where backend.db is kept by default
  CLAWLOG_LOOP                        the default of --loop
  PGPASSFILE, PGPASSWORD              the password for PostgreSQL, which --database must not hold

exit status: 0 ended by SIGTERM or SIGINT, 2 usage or an invalid setting, 69 the address or the database cannot be used

examples:
  clawlog backend --port 8000 --database ~/clawlog.db
  clawlog backend --database postgresql://clawlog@db.example.com/clawlog
  clawlog backend migrate --check --database postgresql://clawlog@db.example.com/clawlog
"""
_MIGRATE_EPILOG = """\
An SQLite file is migrated when its backend starts, too. Replicas on PostgreSQL never do it by themselves.

exit status: 0 the database is of this version, 1 --check found an older one, 2 usage, 69 the database cannot be used
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the backend until a signal ends it, or migrate its database, and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["migrate"]:
        return _migrate(given[1:])
    return _serve(given)


def _serve(arguments: Sequence[str]) -> int:
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        settings = Settings(
            database=_database(options),
            host=options.host,
            port=options.port,
            token=read_token(os.environ),
            keep_days=options.keep_days,
            allowed_hosts=tuple(options.allowed_host),
            requests_per_s=options.requests_per_second,
            root_path=options.root_path.rstrip("/"),
            pool=options.pool,
            accept_data_loss=options.accept_data_loss,
        )
        make_loop = event_loop.factory_of(options.loop)
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    gc.disable()  # what is imported stays: to look for garbage meanwhile is a seventh of the start
    # Imported here, so that --help and a refused setting answer without loading the web framework.
    from clawlog_backend.http.server import BackendServer, ListenError, write_port_file  # noqa: PLC0415 - --help need not pay for it
    from clawlog_backend.storage.engines.engine import DatabaseError  # noqa: PLC0415 - as above

    gc.freeze()  # nor is it looked at later
    gc.enable()

    def listening(url: str, port: int) -> None:
        if options.port_file is not None:
            write_port_file(options.port_file, port)
        print(f"ClawLog backend: {url}", flush=True)  # noqa: T201 - the program's one line of output

    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(BackendServer(settings).run(on_listening=listening))
    except (DatabaseError, ListenError, OSError) as error:
        return _fail(error, EXIT_FAILED)
    return 0


def _migrate(arguments: Sequence[str]) -> int:
    options = build_migrate_parser().parse_args(arguments)
    try:
        named = _database(options)
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    from clawlog_backend.storage.engines.engine import DatabaseError  # noqa: PLC0415 - --help need not pay for it
    from clawlog_backend.storage.engines.opening import make_database  # noqa: PLC0415 - as above

    async def run() -> SchemaVersions:
        database = make_database(named, pool=SMALLEST_POOL, accept_data_loss=True)
        try:
            return await database.migrate(check=options.check)
        finally:
            await database.close()

    try:
        versions = asyncio.run(run())
    except (DatabaseError, OSError) as error:
        return _fail(error, EXIT_FAILED)
    print(_told(versions, check=options.check))  # noqa: T201 - what was asked for
    return EXIT_OUTDATED if options.check and versions.outdated else 0


def _told(versions: SchemaVersions, *, check: bool) -> str:
    if versions.found is None:
        return (
            f"no tables yet: the backend makes them, of schema version {versions.known}"
            if check
            else (f"made the tables, of schema version {versions.known}")
        )
    if not versions.outdated:
        return f"schema version {versions.found}: nothing to do"
    return (
        f"schema version {versions.found}, {versions.known} is wanted: run `clawlog backend migrate`"
        if check
        else (f"migrated from schema version {versions.found} to {versions.known}")
    )


def _database(options: argparse.Namespace) -> str:
    """The database that was named, or else the default one.

    Raises:
        SettingsError: A password stands in its URL.
    """
    check_shown_database(options.database or "")
    return options.database or str(default_database(os.environ))


def _fail(error: Exception, status: int) -> int:
    print(f"clawlog backend: {error}", file=sys.stderr)  # noqa: T201 - the program's diagnostics
    return status


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="clawlog backend",
        description="The embedded ClawLog backend: stores what agents report, and serves the dashboard.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default=DEFAULT_HOST, help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=DEFAULT_PORT, help="TCP port, 0 for a free one (default %(default)s)")
    _add_database(parser)
    add("--pool", type=_pool, default=DEFAULT_POOL, metavar="N",
        help="connections to hold to PostgreSQL; one of them writes (default %(default)s)")  # fmt: skip
    add("--accept-data-loss", action="store_true", help="use PostgreSQL even where fsync or synchronous_commit is off")
    add("--keep-days", type=_days, default=DEFAULT_KEEP_DAYS, metavar="DAYS",
        help="remove tasks that ended longer ago; 0 keeps all (default %(default)g)")  # fmt: skip
    add("--allowed-host", action="append", default=[], metavar="NAME", help="a further host name under which it may be reached")
    add("--requests-per-second", type=_rate, default=DEFAULT_REQUESTS_PER_S, metavar="N",
        help="rate limit for each client on another machine; 0 for none (default %(default)g)")  # fmt: skip
    add("--root-path", default="", metavar="PATH", help="the path below which a proxy shows it, such as /clawlog")
    add("--loop", type=_loop, default=os.environ.get("CLAWLOG_LOOP") or "auto", metavar="L",
        help="the event loop: auto (uvloop where it is installed), asyncio or uvloop (default %(default)s)")  # fmt: skip
    add("--port-file", type=Path, metavar="FILE", help="write the port there once requests are answered")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def build_migrate_parser() -> argparse.ArgumentParser:
    """The command line of ``migrate``."""
    parser = argparse.ArgumentParser(
        prog="clawlog backend migrate",
        description="Bring the database's schema to this version, or make its tables.",
        epilog=_MIGRATE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_database(parser)
    parser.add_argument("--check", action="store_true", help="change nothing; say which version it is, and which is wanted")
    return parser


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database", metavar="URL",
        help="an SQLite file, or postgresql://USER@HOST/NAME (default: backend.db in the state directory)")  # fmt: skip


def _loop(text: str) -> str:
    if text not in event_loop.CHOICES:
        raise argparse.ArgumentTypeError(f"{text!r} is no event loop: expected {', '.join(event_loop.CHOICES)}")
    return text


def _pool(text: str) -> int:
    if not text.isdecimal() or not SMALLEST_POOL <= int(text) <= LARGEST_POOL:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pool: expected {SMALLEST_POOL} to {LARGEST_POOL} connections")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected a number from 0 to 65535")
    return int(text)


def _days(text: str) -> float:
    return _number(text, "a number of days", 36_500)


def _rate(text: str) -> float:
    return _number(text, "a number of requests a second", 1_000_000)


def _number(text: str, meaning: str, most: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meaning}: expected 0 to {most}")
    return number

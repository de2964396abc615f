"""The backend's command line: reads flags and environment, runs the server, turns faults into a line and an exit status."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clawlog_backend import __version__, event_loop
from clawlog_backend.settings import (
    DEFAULT_HOST,
    DEFAULT_KEEP_DAYS,
    DEFAULT_POOL,
    DEFAULT_PORT,
    DEFAULT_REQUESTS_PER_S,
    DEFAULT_TRACES_WAITING,
    LARGEST_POOL,
    MOST_TRACES_WAITING,
    SMALLEST_POOL,
    Settings,
    SettingsError,
    TraceReceiver,
    check_shown_database,
    default_database,
    read_settings_file,
    read_token,
    settings_file,
)

if TYPE_CHECKING:
    from clawlog_backend.notify.rules import Rules
    from clawlog_backend.storage.engines.engine import SchemaVersions

EXIT_OUTDATED = 1
EXIT_NOT_DELIVERED = 1
EXIT_USAGE = 2
EXIT_FAILED = 69

_EPILOG = """\
environment:
  CLAWLOG_TOKEN_FILE, CLAWLOG_TOKEN   the access token; required on any address but a loopback one
  CLAWLOG_STATE_DIR                   where backend.db is kept by default
  CLAWLOG_LOOP                        the default of --loop
  CLAWLOG_BACKEND_CONFIG              the settings' file, if --config is not given
  OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
                                      where traces go, and as whose (with --otel)
  PGPASSFILE, PGPASSWORD              the password for PostgreSQL, which --database must not hold

exit status: 0 ended by SIGTERM or SIGINT, 2 usage or an invalid setting, 69 the address or the database cannot be used

examples:
  clawlog backend --port 8000 --database ~/clawlog.db
  clawlog backend --database postgresql://clawlog@db.example.com/clawlog
  clawlog backend migrate --check --database postgresql://clawlog@db.example.com/clawlog
  clawlog backend notify-test --config ~/.config/clawlog/backend.toml
"""
_MIGRATE_EPILOG = """\
An SQLite file is migrated when its backend starts, too. Replicas on PostgreSQL never do it by themselves.

exit status: 0 the database is of this version, 1 --check found an older one, 2 usage, 69 the database cannot be used
"""
_NOTIFY_EPILOG = """\
It speaks to the targets itself: no backend has to run. Quiet hours and filters do not count.

exit status: 0 all have taken it, 1 some have not, 2 usage or an invalid setting

examples:
  clawlog backend notify-test
  clawlog backend notify-test trouble --config /etc/clawlog/backend.toml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the backend until a signal ends it, migrate its database, or try its notifications; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["migrate"]:
        return _migrate(given[1:])
    if given[:1] == ["notify-test"]:
        return _test_notifications(given[1:])
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
            traces=_traces(options),
        )
        rules = _rules(options)
        make_loop = event_loop.factory_of(options.loop)
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    gc.disable()  # what is imported stays: to look for garbage meanwhile is a seventh of the start
    # Imported here, so that --help and a refused setting answer without loading the web framework.
    from clawlog_backend.http.server import BackendServer, ListenError, write_port_file  # noqa: PLC0415 - --help need not pay for it
    from clawlog_backend.notify.rules import NO_RULES  # noqa: PLC0415 - as above
    from clawlog_backend.storage.engines.engine import DatabaseError  # noqa: PLC0415 - as above

    gc.freeze()  # nor is it looked at later
    gc.set_threshold(20_000, 20, 50)  # a burst makes many objects, and hardly a cycle among them: a third of a stop's telling
    gc.enable()

    def listening(url: str, port: int) -> None:
        if options.port_file is not None:
            write_port_file(options.port_file, port)
        print(f"ClawLog backend: {url}", flush=True)  # noqa: T201 - the program's one line of output

    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(BackendServer(settings, rules=rules or NO_RULES).run(on_listening=listening))
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
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
    for line in filter(None, (_told(versions, check=options.check), versions.lacking)):
        print(line)  # noqa: T201 - what was asked for
    return EXIT_OUTDATED if options.check and versions.outdated else 0


def _test_notifications(arguments: Sequence[str]) -> int:
    options = build_notify_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        rules = _rules(options)
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    if rules is None or not rules.targets:
        return _fail(SettingsError("no target of notifications is set up: see docs/notifications.md"), EXIT_USAGE)
    if options.rule is not None and options.rule not in rules.rules:
        known = ", ".join(rules.rules) or "none"
        return _fail(SettingsError(f"no rule is named {options.rule!r}: expected one of {known}"), EXIT_USAGE)
    from clawlog_backend.domain.times import UtcMs  # noqa: PLC0415 - --help need not pay for it
    from clawlog_backend.notify.notifier import try_targets  # noqa: PLC0415 - as above

    names = rules.targets if options.rule is None else rules.rules[options.rule].targets
    results = asyncio.run(try_targets([rules.targets[name] for name in names], UtcMs.now()))
    for result in results:
        print(f"{result.target}: {'delivered' if result.delivered else 'not delivered'} ({result.detail})")  # noqa: T201 - what was asked for
    return 0 if all(result.delivered for result in results) else EXIT_NOT_DELIVERED


def _rules(options: argparse.Namespace) -> Rules | None:
    """Who is told what, as the settings' file says; ``None`` where it says nothing.

    Raises:
        SettingsError: The file cannot be read, or something in it does not fit.
    """
    path = settings_file(options.config, os.environ)
    section = read_settings_file(path).get("notifications")
    if section is None or path is None:
        return None
    from clawlog_backend.notify.configuration import read_rules  # noqa: PLC0415 - who has no rules need not pay for it

    return read_rules(section, file=path, environ=os.environ)


def _told(versions: SchemaVersions, *, check: bool) -> str:
    if versions.found is None:
        return (
            f"no tables yet: the backend makes them, of schema version {versions.known}"
            if check
            else (f"made the tables, of schema version {versions.known}")
        )
    if versions.found > versions.known:
        return f"schema version {versions.found} is newer than this program, which may use it: nothing to do"
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


def _traces(options: argparse.Namespace) -> TraceReceiver | None:
    """Where traces are exported to, as the flags and OpenTelemetry's own variables say.

    Raises:
        SettingsError: They cannot be used, or the extra that it takes is not installed.
    """
    path = settings_file(options.config, os.environ)
    section = read_settings_file(path).get("otel")
    if options.otel is None and section is None:
        return None
    from clawlog_backend.otel import environment, library  # noqa: PLC0415 - only there

    said = environment.read_section(section or {}, file=path)
    if environment.is_disabled(os.environ) or (options.otel is None and not said.enabled):
        return None
    library.check()
    receiver = environment.receiver(os.environ, options.otel or said.endpoint)
    return replace(receiver, most_waiting=options.otel_queue or said.queue or DEFAULT_TRACES_WAITING)


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
    _add_config(parser)
    add("--keep-days", type=_days, default=DEFAULT_KEEP_DAYS, metavar="DAYS",
        help="remove tasks that ended longer ago; 0 keeps all (default %(default)g)")  # fmt: skip
    add("--allowed-host", action="append", default=[], metavar="NAME", help="a further host name under which it may be reached")
    add("--requests-per-second", type=_rate, default=DEFAULT_REQUESTS_PER_S, metavar="N",
        help="rate limit for each client on another machine; 0 for none (default %(default)g)")  # fmt: skip
    add("--root-path", default="", metavar="PATH", help="the path below which a proxy shows it, such as /clawlog")
    add("--otel", nargs="?", const="", metavar="URL",
        help="export tasks that ended as OpenTelemetry traces (default URL: the environment's)")  # fmt: skip
    add("--otel-queue", type=_count, metavar="N",
        help=f"how many may wait at most; then the oldest go (default {DEFAULT_TRACES_WAITING})")  # fmt: skip
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


def build_notify_parser() -> argparse.ArgumentParser:
    """The command line of ``notify-test``."""
    parser = argparse.ArgumentParser(
        prog="clawlog backend notify-test",
        description="Send a test message to the targets of notifications.",
        epilog=_NOTIFY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rule", nargs="?", metavar="RULE", help="only to the targets of this rule")
    _add_config(parser)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE",
        help="the settings' file (default: clawlog/backend.toml in ~/.config, else in /etc)")  # fmt: skip


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


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_TRACES_WAITING:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of tasks: expected 1 to {MOST_TRACES_WAITING}")
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

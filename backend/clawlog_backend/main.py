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

from clawlog_backend import __version__
from clawlog_backend.settings import (
    DEFAULT_HOST,
    DEFAULT_KEEP_DAYS,
    DEFAULT_PORT,
    DEFAULT_REQUESTS_PER_S,
    Settings,
    SettingsError,
    default_database,
    read_token,
)

EXIT_USAGE = 2
EXIT_FAILED = 69

_EPILOG = """\
environment:
  CLAWLOG_TOKEN_FILE, CLAWLOG_TOKEN   the access token; required on any address but a loopback one
  CLAWLOG_STATE_DIR                   where backend.db is kept by default

exit status: 0 ended by SIGTERM or SIGINT, 2 usage or an invalid setting, 69 the address or the database cannot be used

example:
  python -m clawlog_backend --port 8000 --database ~/clawlog.db
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the backend until a signal ends it, and return its exit status."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        settings = Settings(
            database=options.database or str(default_database(os.environ)),
            host=options.host,
            port=options.port,
            token=read_token(os.environ),
            keep_days=options.keep_days,
            allowed_hosts=tuple(options.allowed_host),
            requests_per_s=options.requests_per_second,
            root_path=options.root_path.rstrip("/"),
        )
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    gc.disable()  # what is imported stays: to look for garbage meanwhile is a seventh of the start
    # Imported here, so that --help and a refused setting answer without loading the web framework.
    from clawlog_backend.http.server import BackendServer, ListenError, write_port_file  # noqa: PLC0415 - --help need not pay for it
    from clawlog_backend.storage.engines.sqlite import DatabaseError  # noqa: PLC0415 - as above

    gc.freeze()  # nor is it looked at later
    gc.enable()

    def listening(url: str, port: int) -> None:
        if options.port_file is not None:
            write_port_file(options.port_file, port)
        print(f"ClawLog backend: {url}", flush=True)  # noqa: T201 - the program's one line of output

    try:
        asyncio.run(BackendServer(settings).run(on_listening=listening))
    except (DatabaseError, ListenError, OSError) as error:
        return _fail(error, EXIT_FAILED)
    return 0


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
    add("--database", metavar="URL", help="an SQLite file, or an SQLAlchemy URL (default: backend.db in the state directory)")
    add("--keep-days", type=_days, default=DEFAULT_KEEP_DAYS, metavar="DAYS",
        help="remove tasks that ended longer ago; 0 keeps all (default %(default)g)")  # fmt: skip
    add("--allowed-host", action="append", default=[], metavar="NAME", help="a further host name under which it may be reached")
    add("--requests-per-second", type=_rate, default=DEFAULT_REQUESTS_PER_S, metavar="N",
        help="rate limit for each client on another machine; 0 for none (default %(default)g)")  # fmt: skip
    add("--root-path", default="", metavar="PATH", help="the path below which a proxy shows it, such as /clawlog")
    add("--port-file", type=Path, metavar="FILE", help="write the port there once requests are answered")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


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

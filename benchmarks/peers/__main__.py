"""``python -m benchmarks.peers [NAME …]``: measures peers beside ours, stores the run, and writes the tables anew.

    python -m benchmarks.peers              all of them, within a quarter of an hour
    python -m benchmarks.peers curl mlflow  some, told and not stored
    python -m benchmarks.peers --render     the documents' tables from the stored run

Where a peer cannot be installed or run, the table says why. Nothing is sent to any machine but this one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.peers import pages, results
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.session import Session, Volume


def main() -> int:
    """Runs what was asked for."""
    names = [each.key for each in PEERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__, formatter_class=_Plain)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all without one")
    parser.add_argument("--runs", type=int, default=Volume.runs, help="pairs of short processes (%(default)s)")
    parser.add_argument("--updates", type=int, default=Volume.updates, help="updates from one process (%(default)s)")
    parser.add_argument("--bound", type=float, default=Volume.bound_s, metavar="S", help="a blocked process ends (%(default)s)")
    parser.add_argument("--watched", type=float, default=Volume.watched_s, metavar="S", help="wait for late ones (%(default)s)")
    parser.add_argument("--minutes", type=float, default=15.0, help="nothing more is begun after so many (%(default)s)")
    parser.add_argument("--output", type=Path, help="where the run is stored; results.json when all are measured")
    parser.add_argument("--render", action="store_true", help="only write the documents' tables anew")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no peer {', '.join(sorted(unknown))}; expected some of {', '.join(names)}")
    if arguments.render:
        pages.write(results.load())
        return 0
    chosen = [each for each in PEERS if not arguments.names or each.key in arguments.names]
    volume = Volume(arguments.runs, arguments.updates, arguments.bound, arguments.watched)
    run = Session(chosen, volume, time.monotonic() + arguments.minutes * 60, Console(stderr=True)).run()
    output = arguments.output or (None if arguments.names else results.STORED)
    if output is not None:
        results.store(run, output)
    if output == results.STORED:
        pages.write(run)
    print(pages.tables(run))
    return 0


class _Plain(argparse.RawDescriptionHelpFormatter):
    """The examples as they are."""


if __name__ == "__main__":
    sys.exit(main())

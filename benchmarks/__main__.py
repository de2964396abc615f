"""``python -m benchmarks [NAME …]``: runs the benchmarks, prints the table, and keeps it beside the run before.

Exit status 0 when every target is met, 1 when one is not, or a benchmark failed: what went wrong is said, and the others run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure

RESULTS = Path(__file__).parent / "results"
BENCHMARKS = (
    "script_calls",
    "agent_hook",
    "round_trip",
    "start_up",
    "intake",
    "drain",
    "plain_backlog",
    "idle",
    "fleet",
    "backlog",
    "many_tasks",
    "scaling",
    "backend_load",
    "backend_growth",
    "backend_reads",
    "postgres_load",
    "postgres_reads",
    "retention",
    "stop_latency",
    "fair_turns",
    "dashboard",
)


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without one")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; expected one of {', '.join(BENCHMARKS)}")
    progress = Console(stderr=True)
    figures: list[Figure] = []
    failed = []
    began = time.monotonic()
    for name in arguments.names or BENCHMARKS:
        started = time.monotonic()
        progress.print(f"{name} …", end=" ")
        try:
            figures += importlib.import_module(f"benchmarks.{name}").run()
        except Exception:  # noqa: BLE001 - whatever went wrong: the others are measured
            failed.append(name)
            progress.print_exception()
        progress.print(f"{time.monotonic() - started:.0f} s")
    before = _load()
    if arguments.json:
        json.dump([figure.as_json() for figure in figures], sys.stdout, indent=2)
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(figures, before))
    _store({**before, **{figure.name: figure.as_json() for figure in figures}})
    missed = sum(not figure.met for figure in figures)
    progress.print(f"{len(figures)} figures in {time.monotonic() - began:.0f} s, {missed} of them miss their target.")
    if failed:
        progress.print(f"Not measured, see above: {', '.join(failed)}.")
    return 1 if missed or failed else 0


def _table(figures: list[Figure], before: dict[str, dict[str, float]]) -> Table:
    table = Table("what", "target", "figure", "spread", "before", "verdict", "behind it")
    for figure in figures:
        last = before.get(figure.name)
        unit = "×" if figure.unit == "x" else f" {figure.unit}"
        table.add_row(
            figure.name,
            f"{'≤' if figure.sense == '<=' else '≥'} {figure.target:g}{unit}",
            f"{figure.value:.2f}{unit}",
            "" if figure.low is None or figure.high is None else f"{figure.low:.2f} – {figure.high:.2f}",
            f"{last['value']:.2f}" if last else "",
            "met" if figure.met else "NOT MET",
            figure.detail,
        )
    return table


def _load() -> dict[str, dict[str, float]]:
    path = RESULTS / "last.json"
    return json.loads(path.read_text())["figures"] if path.exists() else {}


def _store(figures: dict[str, object]) -> None:
    RESULTS.mkdir(exist_ok=True)
    content = {"python": platform.python_version(), "figures": figures}
    (RESULTS / "last.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

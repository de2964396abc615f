"""``make agents``: the real agents through every scenario, and the table for ``docs/agents-and-skills.md``."""

from __future__ import annotations

import argparse
import json
import sys
import time

from agents.real import cache, table
from agents.real.programs import PROGRAMS
from agents.real.registry import SCENARIOS, run
from agents.real.scenarios import Result


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m agents.real", description=__doc__)
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=f"which; all by default: {', '.join(PROGRAMS)}")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="a scenario; all by default")
    parser.add_argument("--install", action="store_true", help="only install what is missing")
    parser.add_argument("--json", action="store_true", help="print JSON, with every check and figure")
    parser.add_argument("--write", action="store_true", help="put the table into docs/agents-and-skills.md")
    options = parser.parse_args()
    known = cache.packages() if options.install else PROGRAMS
    if unknown := [name for name in options.agents if name not in known]:
        parser.error(f"no agent is called {', '.join(unknown)}; there are {', '.join(known)}")
    names = options.agents or list(PROGRAMS)
    skipped = cache.install(names, _tell)
    if options.install:
        return 0
    if not options.json:
        print(table.HEAD, flush=True)
    seen = {name: {} if name in skipped else _run(name, options.only or list(SCENARIOS)) for name in names}
    rows = [table.row(name, results, skipped.get(name)) for name, results in seen.items()]
    if options.json:
        print(json.dumps([table.tree(name, results, skipped.get(name)) for name, results in seen.items()], indent=2))
    else:
        print("\n".join(rows))
    if options.write:
        table.write(rows)
    return int(any(result.failed for results in seen.values() for result in results.values()))


def _run(agent: str, scenarios: list[str]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for scenario in scenarios:
        show = _Progress(f"{agent}, {scenario}")
        results[scenario] = result = run(agent, scenario, show)
        show.clear()
        verdict = "; ".join(f"NOT {name}: {seen}" for name, seen in result.failed.items()) or "as it has to be"
        _tell(f"{agent}, {scenario}: {verdict} ({result.figures['took, s']:.0f} s)")
    return results


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Progress:
    """One line on a terminal that says what is going on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        if sys.stderr.isatty():
            took_s = time.monotonic() - self._started
            print(f"\r\x1b[K{took_s:5.0f} s  {self._name}: {text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

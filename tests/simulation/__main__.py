"""``python -m simulation`` (in ``tests/``): runs many seeds, or replays one. See docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulation.runner import Verdict, run_all

_SHOWN = 5
_SOME = 6  # seeds at first, then as many again as were tried, until one finds a planted fault


def main() -> int:
    """Runs what the command line says. Returns 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description="A month in a minute: the daemon, simulated.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--hours", type=float, default=24.0, help="how many simulated hours each (default: 24)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="replay one seed, with its log and its shortened history")
    parser.add_argument("--mutation", help="a fault to plant, by its name in mutations.py")
    parser.add_argument("--tries", type=int, default=200, help="how many shorter histories a replay tries (default: 200)")
    parser.add_argument("--every-mutation", action="store_true", help="plant each fault, and look for a seed that finds it")
    parser.add_argument("--workers", type=int, help="how many processes (default: one for each core)")
    given = parser.parse_args()
    if given.replay is not None:
        return _replay(given.replay, given.hours, given.mutation, given.tries)
    return _find_planted(given) if given.every_mutation else _run(given)


def _find_planted(given: argparse.Namespace) -> int:
    from simulation.mutations import MUTATIONS

    missed = 0
    for fault in MUTATIONS:
        tried, found = 0, None
        while found is None and tried < given.seeds:
            some = range(given.first + tried, given.first + min(tried + max(_SOME, tried), given.seeds))
            verdicts = list(run_all(some, given.hours, mutation=fault, workers=given.workers))
            found = next((each for each in sorted(verdicts, key=lambda each: each.seed) if each.violations), None)
            tried += len(some)
        missed += found is None
        told = f"not within {tried} seeds" if found is None else f"by seed {found.seed}: {found.violations[0]}"
        sys.stdout.write(f"{fault}: {told}\n")
    return 1 if missed else 0


def _run(given: argparse.Namespace) -> int:
    console = Console(stderr=True)
    seeds = range(given.first, given.first + given.seeds)
    failed: list[Verdict] = []
    began, cpu_s = time.monotonic(), 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("seeds", total=len(seeds))
        for verdict in run_all(seeds, given.hours, mutation=given.mutation, workers=given.workers):
            cpu_s += verdict.cpu_s
            if verdict.violations:
                failed.append(verdict)
                progress.update(bar, description=f"seeds ({len(failed)} failed)")
                progress.console.print(f"seed {verdict.seed}: {verdict.violations[0]}", markup=False)
            progress.advance(bar)
    took_s = time.monotonic() - began
    hours = given.seeds * given.hours
    sys.stdout.write(f"{given.seeds} seeds, {hours:,.0f} simulated hours in {took_s:.0f} s ({cpu_s:.0f} s of processor)\n")
    sys.stdout.write(f"{len(failed)} failed\n")
    for verdict in sorted(failed, key=lambda each: each.seed)[:_SHOWN]:
        planted = f" --mutation {shlex.quote(given.mutation)}" if given.mutation else ""
        sys.stdout.write(f"  in tests/: python -m simulation --replay {verdict.seed} --hours {given.hours:g}{planted}\n")
    return 1 if failed else 0


def _replay(seed: int, hours: float, mutation: str | None, tries: int) -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    from simulation.mutations import planted
    from simulation.plan import Plan, draw_plan
    from simulation.shrink import shorten
    from simulation.world import Result, simulate

    def run(plan: Plan) -> Result:
        with planted(mutation):
            return simulate(plan)

    plan = draw_plan(seed, hours)
    result = run(plan)
    sys.stdout.write("\n".join(result.log) + f"\ndigest {result.digest}\n")
    if not result.violations:
        return 0
    what = result.violations[0].partition(":")[0]

    def fails(shorter: Plan) -> bool:
        return any(each.startswith(what) for each in run(shorter).violations)

    shorter = shorten(plan, fails, tries)
    sys.stdout.write(f"\nIt fails: {result.violations[0]}\nSo does this, of {len(plan.items)} things that happen:\n")
    sys.stdout.writelines(f"{item}\n" for item in shorter.items)
    return 1


if __name__ == "__main__":
    sys.exit(main())

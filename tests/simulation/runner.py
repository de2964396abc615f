"""Runs many seeds on all cores: each process has ``PYTHONHASHSEED`` 0, for the order in which sets of texts are walked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

_TESTS = Path(__file__).resolve().parents[1]
_LONGEST_S = 60  # of processor: a machine that is busy, or held, is no fault of a seed


Case = tuple[int, str | None]
"""A seed, and the fault that is planted; None for none."""


@dataclass(frozen=True)
class Verdict:
    """What came of one seed."""

    seed: int
    mutation: str | None
    violations: tuple[str, ...]
    digest: str
    cpu_s: float


def run_all(
    seeds: Sequence[int], hours: float, *, mutation: str | None = None, workers: int | None = None
) -> Iterator[Verdict]:
    """Runs seeds in processes of their own, and gives what came of each as soon as it is known."""
    return run_cases([(seed, mutation) for seed in seeds], hours, workers=workers)


def run_cases(cases: Sequence[Case], hours: float, *, workers: int | None = None) -> Iterator[Verdict]:
    """Runs seeds, each with a planted fault or none, in processes of their own; see ``run_all``."""
    count = min(workers or os.cpu_count() or 1, max(1, len(cases)))
    found: SimpleQueue[Verdict | None] = SimpleQueue()
    with ThreadPoolExecutor(count) as pool:
        workings = [pool.submit(_work, list(cases[start::count]), hours, found) for start in range(count)]
        left = len(workings)
        while left:
            verdict = found.get()
            if verdict is None:
                left -= 1
            else:
                yield verdict
        for each in workings:
            each.result()


def _work(cases: list[Case], hours: float, found: SimpleQueue[Verdict | None]) -> None:
    try:
        env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(_TESTS)}
        asked = json.dumps({"cases": cases, "hours": hours})
        command = [sys.executable, "-m", "simulation.runner"]
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(asked)
            process.stdin.close()
            for line in process.stdout:
                told = json.loads(line)
                found.put(Verdict(told["seed"], told["mutation"], tuple(told["violations"]), told["digest"], told["cpu_s"]))
        if process.returncode:
            raise RuntimeError(f"a worker ended with {process.returncode}")
    finally:
        found.put(None)


class Endless(Exception):  # noqa: N818 - names what is the case
    """A run does not end."""


def _give_up(number: int, frame: FrameType | None) -> None:
    raise Endless


def main() -> None:
    """A worker: reads what to run, and writes a line for each seed."""
    import time

    from simulation.mutations import planted
    from simulation.plan import draw_plan
    from simulation.world import simulate

    asked = json.load(sys.stdin)
    signal.signal(signal.SIGVTALRM, _give_up)
    for seed, mutation in asked["cases"]:
        began = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST_S)
        try:
            with planted(mutation):
                result = simulate(draw_plan(seed, asked["hours"]))
            violations, digest = result.violations, result.digest
        except (Exception, Endless) as error:  # noqa: BLE001 - it is that seed's verdict
            violations, digest = [f"the run failed: {error!r}"], ""
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        cpu_s = time.process_time() - began
        told = {"seed": seed, "mutation": mutation, "violations": violations, "digest": digest, "cpu_s": cpu_s}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

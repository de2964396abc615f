"""``make faults``: every fault in its long form, and the table for ``docs/reliability.md``."""

from __future__ import annotations

import argparse
import sys
import time

from faults import scenarios  # noqa: F401 - enters the faults
from faults.registry import FAULTS, Fault, Report, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, as the tests run it")
    parser.add_argument("--only", metavar="TEXT", default="", help="only faults whose name holds this text")
    arguments = parser.parse_args()
    print("| fault | accepted | lost | reported | unexpected | duplicates | out of order | recovery, s | took, s | notes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
    failed = False
    for which in FAULTS:
        if arguments.only in which.name and (which.quick or not arguments.quick):
            failed |= not _run(which, long=not arguments.quick)
    return int(failed)


def _run(which: Fault, *, long: bool) -> bool:
    if reason := which.missing():
        print(f"| {which.name} | skipped: {reason} | | | | | | | | |", flush=True)
        return True
    show = _Progress(which.name)
    try:
        report = run(which, long=long, progress=show)
    except Exception as error:  # noqa: BLE001 - the table goes on with the next fault
        show.clear()
        print(f"| {which.name} | failed: {type(error).__name__}: {str(error).splitlines()[0]} | | | | | | | | |", flush=True)
        print("\n".join(getattr(error, "__notes__", [])), file=sys.stderr)
        return False
    show.clear()
    print(_row(which, report), flush=True)
    for example in () if report.verdict.holds else report.verdict.examples:
        print(example, file=sys.stderr)
    return report.verdict.holds


def _row(which: Fault, report: Report) -> str:
    verdict = report.verdict
    recovery = "–" if report.recovery_s is None else f"{report.recovery_s:.1f}"
    notes = "; ".join(f"{name}: {value}" for name, value in report.notes.items())
    cells = (
        which.name,
        f"{verdict.accepted:,}",
        verdict.lost,
        verdict.reported,
        verdict.unexpected,
        verdict.duplicates,
        verdict.disordered,
        recovery,
        f"{report.took_s:.0f}",
        notes,
    )
    return "| " + " | ".join(map(str, cells)) + " |"


class _Progress:
    """One line on a terminal that says what is going on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._shown = 0.0

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown > 0.2:
            self._shown = now
            print(f"\r\x1b[K{now - self._started:5.0f} s  {self._name}: {text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

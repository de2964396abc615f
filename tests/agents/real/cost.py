"""What the hooks cost: the time from one request of the model to the next, with one tool call between, without and with them.

Runs without and with hooks alternate, so that what else the machine does falls on both.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics

from agents.real.rig import Rig
from agents.real.scenarios import Progress, Result
from support.models.script import Script, Turn

CALLS = 12
PAIRS = 3

TOOLS = Script("tools", (*(Turn(f"Call {n}.", shell=(f"true {n}",)) for n in range(1, CALLS + 1)), Turn("Done.")))


def cost(name: str, result: Result, progress: Progress) -> None:
    """The median time of a tool call, without and with the hooks."""
    with contextlib.ExitStack() as stack:
        bare, hooked = (stack.enter_context(Rig(name, TOOLS, progress=progress)) for _ in range(2))
        hooked.start_daemon()
        hooked.install()
        without_s: list[float] = []
        with_s: list[float] = []
        for pair in range(PAIRS):
            progress(f"cost, runs {2 * pair + 1} and {2 * pair + 2} of {2 * PAIRS}")
            for rig, times in ((bare, without_s), (hooked, with_s)):
                times.extend(_run(rig))
        result.figures["without, ms"] = 1000 * statistics.median(without_s)
        result.figures["with, ms"] = 1000 * statistics.median(with_s)
        result.check("cost", True)


def _run(rig: Rig) -> list[float]:
    """The seconds of each tool call of one run."""
    rig.model.played.clear()
    rig.run("tools")
    asked = [played.at for played in rig.model.played if played.script == "tools"]
    assert len(asked) == CALLS + 1, f"{len(asked)} requests, not {CALLS + 1}\n{rig.diagnosis()}"
    return [later - earlier for earlier, later in itertools.pairwise(asked)][1:]

"""What the hooks cost: the time from one request of the model to the next, with one tool call between.

Runs without hooks, with a hook that does nothing at all, and with ours take turns, so that what else the machine does falls on
all of them. What a hook that does nothing costs is the agent's own doing: it starts a process for it, and waits.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics

from agents.real.rig import Rig
from agents.real.scenarios import Progress, Result
from support.models.script import Script, Turn

CALLS = 12
ROUNDS = 3

# No two are alike: agents end a loop of like calls.
TOOLS = Script("tools", (*(Turn(f"Call {n}.", shell=(f"true {n}",)) for n in range(1, CALLS + 1)), Turn("Done.")))

_EMPTY = "#!/bin/sh\nexec cat >/dev/null\n"


def cost(name: str, result: Result, progress: Progress) -> None:
    """The median time of a tool call, without and with the hooks."""
    kinds = ("without", "empty", "with")
    with contextlib.ExitStack() as stack:
        rigs = {kind: stack.enter_context(Rig(name, TOOLS)) for kind in kinds}
        for kind in ("empty", "with"):
            rigs[kind].install()
        hook = rigs["empty"].home / ".local" / "share" / "clawlog" / "hooks" / "hook"
        hook.write_text(_EMPTY, encoding="utf-8")
        rigs["with"].start_daemon()
        took_s: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(1, ROUNDS + 1):
            for kind in kinds:
                progress(f"cost, round {number} of {ROUNDS}, {kind}")
                took_s[kind] += _run(rigs[kind])
        for kind in kinds:
            result.figures[f"{kind}, ms"] = 1000 * statistics.median(took_s[kind])
        result.check("cost", True)


def _run(rig: Rig) -> list[float]:
    """The seconds of each tool call of one run."""
    rig.model.played.clear()
    rig.run("tools")
    asked = [played.at for played in rig.model.played if played.script == "tools"]
    assert len(asked) == CALLS + 1, f"{len(asked)} requests, not {CALLS + 1}\n{rig.diagnosis()}"
    return [later - earlier for earlier, later in itertools.pairwise(asked)][1:]

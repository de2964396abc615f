"""Prints what happens, as it happens: when, who, what. For people as lines, for programs as JSON."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from clawlog import locations
from clawlog.cli.render import output


class Actor(StrEnum):
    """Who did something."""

    DEMO = "demo"
    BACKEND = "backend"
    DAEMON = "daemon"
    AGENT = "agent"
    PERSON = "person"


_STYLES = {Actor.DEMO: "dim", Actor.BACKEND: "cyan", Actor.DAEMON: "magenta", Actor.AGENT: "green", Actor.PERSON: "yellow"}
_INDENT = " " * 18


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of what happened with what should have happened.

    Attributes:
        holds: Whether they agree.
        what: What was compared and found.
    """

    holds: bool
    what: str


class Timeline:
    """Prints what all actors do.

    Args:
        as_json: Whether to print JSON, one document per line.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._began = time.monotonic()
        self._as_json = as_json
        self._console = None if as_json else output.console()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began

    def show(self, actor: Actor, text: str, *, pid: int | None = None) -> None:
        """Prints one event.

        Args:
            actor: Who did it.
            text: What happened.
            pid: The process that was started, if one was.
        """
        at_s = self.elapsed_s
        if self._console is None:
            entry = {"event": "timeline", "at_s": round(at_s, 3), "actor": actor, "text": text}
            output.print_json_line(entry if pid is None else {**entry, "pid": pid})
            return
        from rich.text import Text  # noqa: PLC0415 - see output.console

        first, *rest = textwrap.wrap(text, max(40, self._console.width - len(_INDENT))) or [""]
        line = Text.assemble((f"{at_s:6.2f} s", "dim"), "  ", (f"{actor:<8}", _STYLES[actor]), first)
        self._console.print(line, *(Text(_INDENT + each) for each in rest), sep="\n", soft_wrap=True)

    def conclude(self, checks: Sequence[Check]) -> None:
        """Prints the result."""
        holds = all(check.holds for check in checks)
        if self._console is None:
            found = {
                "event": "result",
                "ok": holds,
                "took_s": round(self.elapsed_s, 3),
                "checks": [asdict(each) for each in checks],
            }
            output.print_json_line(found)
            return
        from rich.text import Text  # noqa: PLC0415 - see output.console

        self._console.print()
        for check in checks:
            mark = ("✓", "green") if check.holds else ("✗", "bold red")
            first, *rest = textwrap.wrap(check.what, max(40, self._console.width - 4)) or [""]
            self._console.print(Text.assemble("  ", mark, " ", first), *(Text("    " + each) for each in rest), sep="\n")
        verdict = "Everything arrived as reported" if holds else "Something did not arrive as reported"
        self._console.print(f"\n{verdict} ({self.elapsed_s:.1f} s).")
        if holds:
            program = "clawlog" if shutil.which("clawlog") else sys.argv[0]
            self._console.print(f"Now with your own tasks, and the dashboard at {locations.DEFAULT_BASE_URL} in a browser:")
            self._console.print(f"  {program} up --open", soft_wrap=True)

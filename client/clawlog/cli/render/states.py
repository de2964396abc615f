"""The word for how a task is: one state, one word, the same on every screen and on the dashboard.

It must stay light: ``clawlog status`` loads it on its way to answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping

from clawlog.protocol import vocabulary

STOPPING = "stopping"
"""The status shown for a task that was asked to stop and has not stopped yet."""
ALARMING = ("lost", "stalled")
"""States of an agent's liveness that are shown instead of its task's status."""

NEEDS_YOU, DEAD, FAILED, NO_SIGNAL = "Needs you", "Dead", "Failed", "No signal"
WORKING, STOPPED, DONE = "Working", "Stopped", "Done"

WORDS = {
    "waiting": NEEDS_YOU,
    "lost": DEAD,
    "failed": FAILED,
    "stalled": NO_SIGNAL,
    "stale": NO_SIGNAL,
    STOPPING: "Stopping",
    "pending": WORKING,
    "running": WORKING,
    "interrupted": STOPPED,
    "done": DONE,
}
"""The word for each status that ``shown_status`` may give. A test checks that none is missing."""

STYLES = {
    NEEDS_YOU: "bold yellow",
    DEAD: "bold red",
    FAILED: "bold red",
    NO_SIGNAL: "yellow",
    "Stopping": "yellow",
    WORKING: "green",
    STOPPED: "dim",
    DONE: "dim",
}
"""How each word is drawn."""

MARKS = {
    NEEDS_YOU: "?",
    DEAD: "✕",
    FAILED: "✗",
    NO_SIGNAL: "◌",
    "Stopping": "◐",
    WORKING: "●",
    STOPPED: "■",
    DONE: "✓",
}
"""A sign for each word, so that none is told by its colour alone."""

ATTENTION = (NEEDS_YOU, DEAD, FAILED, NO_SIGNAL)
"""What needs a person, in the order in which it is shown."""
ORDER = (*ATTENTION, "Stopping", WORKING, STOPPED, DONE)
"""All words, in the order in which their tasks are shown; what ended is sorted by time alone."""

Line = tuple[tuple[str, str], ...]
"""A line: pieces of text, each with its style, such as ``bold red``."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
"""How a terminal is told of a style (ECMA-48, SGR)."""

_BETWEEN = " ·│"
_GROUPS = (ATTENTION, (WORKING, "Stopping"), (DONE, STOPPED))


def shown_status(status: str, liveness: str | None, *, is_stopping: bool) -> str:
    """Returns the one status that says how a task is: that it is lost, asked to stop or stalled goes before that it runs."""
    if status in vocabulary.ENDED_TASK_STATUSES:
        return status
    if liveness == "lost":
        return liveness  # nobody is there to hear a stop
    if is_stopping:
        return STOPPING
    return liveness if liveness in ALARMING else status


def word(status: str) -> str:
    """Returns the word for a shown status; one of a newer daemon stands for itself."""
    return WORDS.get(status, status)


def style(name: str) -> str:
    """Returns how a word is drawn."""
    return STYLES.get(name, "")


def counted(words: Iterable[str]) -> dict[str, int]:
    """Returns how often each word occurs."""
    counts: dict[str, int] = {}
    for each in words:
        counts[each] = counts.get(each, 0) + 1
    return counts


def tally(counts: Mapping[str, int]) -> Line:
    """Returns how many tasks are in each state, as pieces of one line with their styles; what no task is in is left out.

    What needs a person stands first, then what goes on, then what has ended.
    """
    pieces: list[tuple[str, str]] = []
    for group in _GROUPS:
        found = [(f"{name} {counts[name]:,}", style(name)) for name in group if counts.get(name)]
        for number, each in enumerate(found):
            if pieces:
                pieces.append((" · " if number else " │ ", "dim"))
            pieces.append(each)
    return tuple(pieces)


def folded(line: Line, columns: int | None) -> list[Line]:
    """Returns a line as several, broken between its pieces, where it is longer than the terminal is wide."""
    lines: list[list[tuple[str, str]]] = [[]]
    for text, name in line:
        width = sum(len(each) for each, _ in lines[-1])
        if columns is not None and lines[-1] and width + len(text.rstrip()) > columns:
            if not lines[-1][-1][0].strip(_BETWEEN):
                lines[-1].pop()
            lines.append([])
        if lines[-1] or text.strip(_BETWEEN):  # what stands between two pieces is not needed between two lines
            lines[-1].append((text, name))
    return [tuple(each) for each in lines if each]


def columns() -> int | None:
    """Returns how wide the terminal is; None where stdout is none."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return None


def has_colour(env: Mapping[str, str]) -> bool:
    """Whether stdout shows colours: a terminal does, unless ``NO_COLOR`` or the kind of terminal says otherwise."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not env.get("NO_COLOR")
        and env.get("TERM") not in ("dumb", "unknown")
    )


def painted(lines: Iterable[Line], *, colour: bool) -> Iterator[str]:
    """Returns each line as text, in colours or without."""
    for line in lines:
        if not colour:
            yield "".join(text for text, _ in line).rstrip()
            continue
        codes = [(text, ";".join(_CODES[each] for each in style.split())) for text, style in line]
        yield "".join(f"\x1b[{code}m{text}\x1b[0m" if code and text else text for text, code in codes)

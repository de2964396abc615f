"""The end of each command's help: examples, and what its exit statuses mean."""

from __future__ import annotations

from clawlog import exits

MEANINGS = {
    exits.SUCCESS: "done",
    exits.FAILED: "failed",
    exits.USAGE: "wrong usage",
    exits.NOT_RUNNING: "no daemon is running",
    exits.REFUSED: "refused: unknown task or bad value",
    exits.UNAVAILABLE: "no daemon or backend could be reached",
    exits.OUTPUT_FAILED: "the output could not be written",
    exits.UNKNOWN_FOR_NOW: "not known yet: the time ran out",
    exits.INTERRUPTED: "Ctrl-C",
}


def epilog(*examples: tuple[str, str], **meanings: str) -> str:
    r"""Returns the text after a command's options; ``\b`` keeps click from wrapping it.

    Args:
        examples: Command lines, each with what it does.
        meanings: Exit statuses as ``s1="…"``; 0 and 2 have their usual meanings unless given, and are left out as "".
    """
    listed = {"0": MEANINGS[exits.SUCCESS], "2": MEANINGS[exits.USAGE]}
    listed |= {name.removeprefix("s"): text for name, text in meanings.items()}
    statuses = sorted((status for status in listed if listed[status]), key=lambda status: (len(status), status))
    width = max((len(line) for line, _ in examples), default=0)
    lines = ["\b", "Examples:", *(f"  {line:<{width}}  {what}".rstrip() for line, what in examples), ""] if examples else []
    return "\n".join([*lines, "\b", "Exit statuses:", *(f"  {status:<4} {listed[status]}" for status in statuses)])

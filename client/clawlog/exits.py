"""The exit statuses of ``clawlog``, and how each command's help tells them. Those from 64 up are sysexits.h's."""

from __future__ import annotations

SUCCESS = 0
FAILED = 1
USAGE = 2
NOT_RUNNING = 3
REFUSED = 65
UNAVAILABLE = 69
UNKNOWN_FOR_NOW = 75
INTERRUPTED = 130

MEANINGS = {
    SUCCESS: "done",
    FAILED: "failed",
    USAGE: "usage",
    NOT_RUNNING: "the daemon does not run",
    REFUSED: "refused: unknown task, bad value",
    UNAVAILABLE: "nobody could be reached: no daemon, no backend",
    UNKNOWN_FOR_NOW: "for now unknown: the time ran out",
    INTERRUPTED: "Ctrl-C",
}


def epilog(*examples: tuple[str, str], **meanings: str) -> str:
    r"""What stands at the end of a command's help; ``\b`` keeps click from wrapping it.

    Args:
        examples: Command lines, each with what it does.
        meanings: Exit statuses as ``s1="…"``; 0 and 2 are told by themselves, unless given as "".
    """
    told = {"0": MEANINGS[SUCCESS], "2": MEANINGS[USAGE]} | {name.removeprefix("s"): text for name, text in meanings.items()}
    statuses = sorted((status for status in told if told[status]), key=lambda status: (len(status), status))
    width = max((len(line) for line, _ in examples), default=0)
    lines = ["\b", "Examples:", *(f"  {line:<{width}}  {what}".rstrip() for line, what in examples), ""] if examples else []
    return "\n".join([*lines, "\b", "Exit statuses:", *(f"  {status:<4} {told[status]}" for status in statuses)])


EPILOG = epilog(
    ("clawlog demo", "see it work"),
    ("clawlog up --open", "backend, daemon and dashboard"),
    ("clawlog run -- make all", "a command as a task"),
    s1="failed (of status: degraded)",
    s3="status: the daemon does not run",
    s65=MEANINGS[REFUSED],
    s69=MEANINGS[UNAVAILABLE],
    s75=MEANINGS[UNKNOWN_FOR_NOW],
    s130=MEANINGS[INTERRUPTED],
)

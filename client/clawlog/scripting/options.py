"""The scripts' flags: the one definition, which both the full parser and the fast path use.

Plain classes and tuples on purpose: this module is loaded at every call of a script, so it imports the vocabulary alone.
"""

from clawlog.protocol.vocabulary import (
    DEFAULT_LEASE_S,
    DEFAULT_MAX_AGE_S,
    MAX_LEASE_S,
    MAX_TITLE_CHARS,
    MAX_WAIT_S,
    MIN_LEASE_S,
    REPORTED_TASK_STATUSES,
    STEP_STATUSES,
)

TEXT = "text"
TEXTS = "texts"
"""May be given more than once."""
SECONDS = "seconds"
PID = "pid"
SWITCH = "switch"
"""Takes no value."""
PAIRS = "pairs"
"""KEY=VALUE; may be given more than once."""
OPTIONAL_SECONDS = "optional seconds"
"""A number of seconds; may be left out for a default."""
PROGRESS = "progress"
"""DONE or DONE/TOTAL, numbers from 0 up."""

DEFAULT_WAIT_S = 30.0
"""What ``--wait`` without a number waits for at most."""
DEFAULT_INTERVAL_S = 10.0
"""How long each question of ``poll_interrupt.py`` waits for a stop."""

FORMATS = ("json", "env", "text")


class Option:
    """One flag.

    Attributes:
        flag: The flag as it is typed.
        name: The key of its value.
        kind: What values it takes, one of this module's kinds.
        metavar: The name of its value in the help.
        help: Its description.
        choices: The accepted values; empty where any is accepted.
    """

    __slots__ = ("choices", "flag", "help", "kind", "metavar", "name")

    def __init__(self, flag: str, kind: str, metavar: str, help: str, choices: tuple[str, ...] = ()) -> None:  # noqa: A002 - argparse's word
        self.flag = flag
        self.name = flag[2:].replace("-", "_")
        self.kind = kind
        self.metavar = metavar
        self.help = help
        self.choices = choices


def _one_of(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


_LEASE = f"{MIN_LEASE_S:.0f} to {MAX_LEASE_S:.0f} (default: {DEFAULT_LEASE_S:.0f})"

_TASK_ID = Option("--task-id", TEXT, "ID", "the task's id (default: $CLAWLOG_TASK_ID, else that of the agent's own session)")
_BEST_EFFORT = Option("--best-effort", SWITCH, "", "exit 0 instead of 65, 69 or 75; 20 stays (also: CLAWLOG_BEST_EFFORT=1)")

CREATE_TASK = (
    Option("--title", TEXT, "TEXT", f"what the task does, 1 to {MAX_TITLE_CHARS} characters (required)"),
    Option("--step", TEXTS, "TEXT", "the title of a step; repeat it for each step, in order"),
    Option("--base-url", TEXT, "URL", "the ClawLog backend (default: $CLAWLOG_BASE_URL, else the daemon's setting)"),
    Option("--summary", TEXT, "TEXT", "one line about it"),
    Option("--watch-pid", PID, "PID", "the process that shows whether the agent is alive"),
    Option("--lease", SECONDS, "SECONDS", f"how long one command counts as a sign of life, {_LEASE}"),
    Option("--metadata", PAIRS, "KEY=VALUE", "a pair of your own; repeat it for each pair"),
    Option("--task-id", TEXT, "ID", "an id of your own (default: a new UUID)"),
    Option(
        "--parent", TEXT, "ID", "the task that this one is a part of (default: $CLAWLOG_TASK_ID, else the agent's own session)"
    ),
    Option("--format", TEXT, "FORMAT", "json, env (for eval) or text (default: json)", FORMATS),
    Option("--state-file", TEXT, "PATH", "also write the JSON there, atomically"),
    _BEST_EFFORT,
)

UPDATE_STATUS = (
    _TASK_ID,
    Option("--check-interrupt", SWITCH, "", "ask whether a stop is requested: exit 20 if it is"),
    Option("--max-age", SECONDS, "S", f"how old the answer may be (default: {DEFAULT_MAX_AGE_S:.0f})"),
    Option("--add-step", TEXTS, "TITLE", "add a step to the plan, last unless --after says otherwise; repeat it for each step"),
    Option("--after", TEXT, "STEP", "the step behind which the new ones go"),
    Option("--step-id", TEXT, "STEP", "a step's id, position from 1, or title"),
    Option("--step-status", TEXT, "STATUS", f"its status: {_one_of(STEP_STATUSES)}", STEP_STATUSES),
    Option("--step-summary", TEXT, "TEXT", "one line about it"),
    Option("--heartbeat", SWITCH, "", "give a sign of life"),
    Option("--heartbeat-summary", TEXT, "TEXT", "one line about the current work"),
    Option("--lease", SECONDS, "S", f"how long it counts, {_LEASE}"),
    Option("--progress", PROGRESS, "DONE[/TOTAL]", "how far the step of this call has come; without one, the task"),
    Option("--link", TEXTS, "[NAME=]URL", "something to look at, such as a pull request or a log; repeat it for each"),
    Option("--ack-interrupt", SWITCH, "", "report that the task has stopped at a safe boundary"),
    Option("--ack-summary", TEXT, "TEXT", "one line about where it stopped"),
    Option(
        "--task-status",
        TEXT,
        "STATUS",
        f"the status of the whole task: {_one_of(REPORTED_TASK_STATUSES)}",
        REPORTED_TASK_STATUSES,
    ),
    Option("--task-summary", TEXT, "TEXT", "one line about it"),
    Option("--waiting-for", TEXT, "TEXT", "what you wait for a person to say: the task is waiting until your next command"),
    Option("--wait", OPTIONAL_SECONDS, "S", f"wait until the backend has it, for at most S (default: {DEFAULT_WAIT_S:.0f})"),
    Option("--json", SWITCH, "", "print JSON, as this script always does"),
    _BEST_EFFORT,
)

POLL_INTERRUPT = (
    _TASK_ID,
    Option("--timeout", SECONDS, "S", "give up after this long (default: no limit)"),
    Option(
        "--interval",
        SECONDS,
        "S",
        f"how long each call to the daemon waits, at most {MAX_WAIT_S:.0f} (default: {DEFAULT_INTERVAL_S:.0f})",
    ),
    Option("--follow", SWITCH, "", "print a line per change, and go on after a stop"),
    Option("--exec", TEXT, "COMMAND", "run this at a stop (a program and its arguments, no shell)"),
    Option("--signal-pid", PID, "PID", "send this process a signal at a stop"),
    Option("--signal", TEXT, "NAME", "which signal (default: TERM)"),
    _BEST_EFFORT,
)

SCRIPTS = {"create_task": CREATE_TASK, "update_status": UPDATE_STATUS, "poll_interrupt": POLL_INTERRUPT}

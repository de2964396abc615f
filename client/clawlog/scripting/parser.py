"""The full reading of a script's command line: argparse, made from ``options``, with help, examples and clear refusals."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from clawlog import exits
from clawlog.scripting import options
from clawlog.scripting.options import Option

_DESCRIPTIONS = {
    "create_task": "Creates a task with its steps, and prints it as JSON with the ids that later calls name.",
    "update_status": "Reports where a task stands, and asks whether a person wants it to stop.\n"
    "Several actions may be combined; they are done in this order: step, heartbeat, task status, ack, wait, check.\n"
    "One that is refused holds up none after it.",
    "poll_interrupt": "Waits for a person to ask for a stop of a task, and acts on it.",
}

_EXAMPLES = {
    "create_task": """\
  python scripts/create_task.py --base-url http://localhost:8000 --title Deploy --step check --step write --step start
  eval "$(python scripts/create_task.py --title Deploy --step check --format env)"; echo "$TASK_ID $STEP_ID"
  python scripts/create_task.py --title Deploy --step check --watch-pid $$ --state-file task.json""",
    "update_status": """\
  python scripts/update_status.py --task-id "$TASK_ID" --check-interrupt
  python scripts/update_status.py --task-id "$TASK_ID" --step-id 1 --step-status running --step-summary "reading the config"
  python scripts/update_status.py --task-id "$TASK_ID" --step-id 1 --step-status done --check-interrupt
  python scripts/update_status.py --task-id "$TASK_ID" --heartbeat --heartbeat-summary "412 of 900 files"
  python scripts/update_status.py --task-id "$TASK_ID" --ack-interrupt --ack-summary "stopped after the current step"
  python scripts/update_status.py --task-id "$TASK_ID" --task-status done --wait 10""",
    "poll_interrupt": """\
  python scripts/poll_interrupt.py --task-id "$TASK_ID" --timeout 600
  python scripts/poll_interrupt.py --task-id "$TASK_ID" --signal-pid 4242 --signal TERM
  python scripts/poll_interrupt.py --task-id "$TASK_ID" --follow | while read -r line; do echo "$line"; done""",
}

_STATUSES = """\
exit statuses:
    0  accepted, or no stop asked for
   20  a stop is requested: finish what must not be left half-done, then --ack-interrupt
    2  the command line is wrong
   65  refused: an unknown task or step, a value that does not fit
   69  nothing could be accepted: no daemon, and no spool
   75  unknown for now: the stop state is stale, or --wait ran out
  130  Ctrl-C
"""

_ENVIRONMENT = """\
environment:
  CLAWLOG_SOCKET       where the daemon is: PATH, unix:PATH or zmq:ENDPOINT
  CLAWLOG_STATE_DIR    the state folder
  CLAWLOG_BASE_URL     the backend for new tasks
  CLAWLOG_TASK_ID      the task, where --task-id is not given
  CLAWLOG_AUTOSTART    0: never start a daemon
  CLAWLOG_BEST_EFFORT  1: as --best-effort
"""


class Parser(argparse.ArgumentParser):
    """argparse, with the usage error's status and one hint."""

    def error(self, message: str) -> NoReturn:
        """Refuses the command line."""
        self.exit(exits.USAGE, f"{self.prog}: error: {message}\nTry: {self.prog} --help\n")


def make(script: str) -> Parser:
    """The parser of one of the scripts."""
    parser = Parser(
        prog=f"{script}.py",
        description=_DESCRIPTIONS[script],
        epilog=f"examples:\n{_EXAMPLES[script]}\n\n{_STATUSES}\n{_ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an abbreviation would change its meaning when a flag is added
    )
    for option in options.SCRIPTS[script]:
        _add(parser, option)
    return parser


def parse(parser: Parser, arguments: Sequence[str]) -> dict[str, Any]:
    """Reads a command line: the values of the flags that were given, by name. Ends the process where it is wrong."""
    values = vars(parser.parse_args(arguments))
    if "metadata" in values:
        values["metadata"] = dict(values["metadata"])
    return values


def _add(parser: Parser, option: Option) -> None:
    # argparse formats help with %; a flag that was not given leaves no trace in the values.
    common: dict[str, Any] = {"dest": option.name, "help": option.help.replace("%", "%%"), "default": argparse.SUPPRESS}
    if option.kind == options.SWITCH:
        parser.add_argument(option.flag, action="store_true", **common)
        return
    common |= {"metavar": option.metavar, "type": _TYPES[option.kind]}
    if option.choices:
        common["choices"] = option.choices
    if option.kind in (options.TEXTS, options.PAIRS):
        common["action"] = "append"
    if option.kind == options.OPTIONAL_SECONDS:
        common |= {"nargs": "?", "const": options.DEFAULT_WAIT_S}
    parser.add_argument(option.flag, **common)


def _text(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not valid UTF-8") from None
    return argument


def _seconds(argument: str) -> float:
    try:
        seconds = float(argument)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of seconds from 0 up")
    return seconds


def _pid(argument: str) -> int:
    if not (argument.isascii() and argument.isdigit()) or int(argument) < 1:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a process id")
    return int(argument)


def _pair(argument: str) -> tuple[str, str]:
    key, equals, value = _text(argument).partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{argument!r} is not KEY=VALUE")
    return key, value


_TYPES = {
    options.TEXT: _text,
    options.TEXTS: _text,
    options.SECONDS: _seconds,
    options.OPTIONAL_SECONDS: _seconds,
    options.PID: _pid,
    options.PAIRS: _pair,
}

"""The full path's parser: argparse, made from ``options``, with help, examples and clear errors."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from clawlog import exits
from clawlog.scripting import options
from clawlog.scripting.options import Option

_MAX_DIGITS = 15
"""Of an integer that JSON's readers keep exactly."""

_DESCRIPTIONS = {
    "create_task": "Creates a task with its steps, and prints it as JSON with the ids for later calls.",
    "update_status": "Reports the status of a task, and checks whether a person wants it to stop.\n"
    "Several actions may be combined; they are done in this order: new steps, step, heartbeat, links,\n"
    "task status, ack, wait, check.\n"
    "A refused one does not hold up those after it.",
    "poll_interrupt": "Waits until a person asks a task to stop, and acts on it.",
}

_EXAMPLES = {
    "create_task": """\
  python3 scripts/create_task.py --base-url http://localhost:8000 --title Deploy --step check --step write --step start
  eval "$(python3 scripts/create_task.py --title Deploy --step check --format env)"; echo "$TASK_ID $STEP_ID"
  python3 scripts/create_task.py --title Deploy --step check --watch-pid $$ --state-file task.json""",
    "update_status": """\
  python3 scripts/update_status.py --task-id "$TASK_ID" --check-interrupt
  python3 scripts/update_status.py --task-id "$TASK_ID" --step-id 1 --step-status running --step-summary "reading the config"
  python3 scripts/update_status.py --task-id "$TASK_ID" --step-id 1 --step-status done --check-interrupt
  python3 scripts/update_status.py --task-id "$TASK_ID" --step-id 2 --step-status running --progress 318/2480
  python3 scripts/update_status.py --task-id "$TASK_ID" --add-step "fix the flaky test" --after 2
  python3 scripts/update_status.py --task-id "$TASK_ID" --waiting-for "drop column orders.note?"
  python3 scripts/update_status.py --task-id "$TASK_ID" --link "pull request=https://git.example.com/shop/pulls/7"
  python3 scripts/update_status.py --task-id "$TASK_ID" --heartbeat --heartbeat-summary "writing the config template"
  python3 scripts/update_status.py --task-id "$TASK_ID" --ack-interrupt --ack-summary "stopped after the current step"
  python3 scripts/update_status.py --task-id "$TASK_ID" --task-status done --wait 10""",
    "poll_interrupt": """\
  python3 scripts/poll_interrupt.py --task-id "$TASK_ID" --timeout 600
  python3 scripts/poll_interrupt.py --task-id "$TASK_ID" --signal-pid 4242 --signal TERM
  python3 scripts/poll_interrupt.py --task-id "$TASK_ID" --follow | while read -r line; do echo "$line"; done""",
}

_STATUSES = f"""\
exit statuses:
  {exits.SUCCESS:>3}  accepted; of a check: no stop is requested
  {exits.STOP_REQUESTED:>3}  a stop is requested: finish what must not be left half-done, then --ack-interrupt
  {exits.USAGE:>3}  wrong usage
  {exits.REFUSED:>3}  refused: an unknown task or step, or a bad value
  {exits.UNAVAILABLE:>3}  nothing could be accepted: no daemon, and no spool
  {exits.OUTPUT_FAILED:>3}  done, but the result could not be written
  {exits.UNKNOWN_FOR_NOW:>3}  not known yet: the stop state is stale, or --wait timed out
  {exits.INTERRUPTED:>3}  Ctrl-C
"""

_ENVIRONMENT = """\
environment:
  CLAWLOG_SOCKET       where the daemon is: PATH, unix:PATH or zmq:ENDPOINT
  CLAWLOG_STATE_DIR    the state folder
  CLAWLOG_BASE_URL     the backend for new tasks
  CLAWLOG_TASK_ID      the task, if --task-id is not given
  CLAWLOG_AUTOSTART    0: never start a daemon
  CLAWLOG_BEST_EFFORT  1: the same as --best-effort
"""


class Parser(argparse.ArgumentParser):
    """argparse, with this package's exit status for wrong usage, and a hint."""

    def error(self, message: str) -> NoReturn:
        """Ends the process: the command line is wrong."""
        self.exit(exits.USAGE, f"{self.prog}: error: {message}\nTry: {self.prog} --help\n")


def make(script: str) -> Parser:
    """Returns the parser of one of the scripts."""
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
    """Reads a command line: returns the values of the given flags by name. Ends the process where it is wrong."""
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
        pass
    else:
        return argument
    try:
        return os.fsencode(argument).decode("utf-8")  # the locale knows no such characters, and Python went by it
    except UnicodeError:
        raise argparse.ArgumentTypeError("not valid UTF-8") from None


def _seconds(argument: str) -> float:
    try:
        seconds = float(argument)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of seconds from 0 up")
    return seconds


def _progress(argument: str) -> dict[str, int | float]:
    done, slash, total = argument.partition("/")
    progress = {"done": _count(done)}
    if slash:
        progress["total"] = _count(total)
    return progress


def _count(text: str) -> int | float:
    """An integer stays one, so that what was typed is what is shown."""
    try:
        number = float(text)
        if text.isascii() and text.isdigit():
            return int(text) if len(text) <= _MAX_DIGITS else number
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up; expected DONE or DONE/TOTAL, as in 318/2480")
    return number


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
    options.PROGRESS: _progress,
    options.PAIRS: _pair,
}

"""Completion in bash of what is typed most: a command's name, and after it a task. Each press of Tab starts the program.

Other shells have formats of click's own, which its next version may change; they and all other words are left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clawlog import exits, locations
from clawlog.cli.catalogue import COMMANDS
from clawlog.cli.quick import printing
from clawlog.cli.render import ids
from clawlog.cli.sources import exchange
from clawlog.protocol.summary import one_line
from clawlog.protocol.vocabulary import ENDED_TASK_STATUSES

OF_TASKS = ("show", "watch", "open", "close", "acknowledge")
OF_LIVE_TASKS = ("stop",)
"""The commands whose first word is a task. A test asks click the same."""
_UNUSUAL = frozenset("'\"\\=")


def run(env: Mapping[str, str]) -> int | None:
    """Prints what may be meant; returns as the package says."""
    try:
        if env["_CLAWLOG_COMPLETE"] != "bash_complete" or _UNUSUAL.intersection(env["COMP_WORDS"]):
            return None
        words, number = env["COMP_WORDS"].split(), int(env["COMP_CWORD"])
        begun = words[number] if number < len(words) else ""
        if begun and not begun[0].isalnum():
            return None
        match words[1:number]:
            case [] if number == 1:
                found = [f"plain,{name}\t{what}" for name, what in COMMANDS.items() if name.startswith(begun)]
            case [command] if number == 2 and command in (*OF_TASKS, *OF_LIVE_TASKS):
                found = list(_tasks(begun, env, live=command in OF_LIVE_TASKS))
            case _:
                return None
        printing.put("\n".join(found) + "\n")
    except BrokenPipeError:
        return exits.SUCCESS
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, locations.Unfit):
        return None
    return exits.SUCCESS


def _tasks(begun: str, env: Mapping[str, str], *, live: bool) -> Iterator[str]:
    """Yields the daemon's tasks that the text may mean, as ``options.complete_task`` does.

    Raises:
        OSError: No daemon of this version answers at a Unix socket.
    """
    path = locations.socket_address(env)
    if not exchange.is_path(path):
        raise OSError("no path")
    status, listed = exchange.exchange(path, (exchange.STATUS, ("task.list", {})))
    if status["version"] != locations.installed_version():
        raise OSError("another version")
    known = [(one_line(each["task_id"]), each["status"], one_line(each["title"])) for each in listed["tasks"]]
    chars = ids.chars([task_id for task_id, _, _ in known])
    for task_id, state, title in known:
        name = next((name for name in (ids.short(task_id, chars), task_id) if name.startswith(begun)), None)
        if name is not None and not (live and state in ENDED_TASK_STATUSES):
            yield f"plain,{name}\t{title}" if title else f"plain,{name}"

"""Where ``clawlog`` begins: what needs no library is answered at once, as a script's call is; all else by ``main``.

It must import nothing that a look at the status can do without: click alone takes longer than that look.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a third of Python's start
    from typing import NoReturn


def main() -> NoReturn:
    """Runs the program and ends the process with its exit status."""
    status = _quick(sys.argv[1:])
    if status is not None:
        os._exit(status)  # all is written; skipping the interpreter's own shutdown saves a twentieth of its start-up time
    from clawlog.cli import main as program  # noqa: PLC0415 - as the docstring says

    program.main()


def _quick(arguments: list[str]) -> int | None:
    """Answers what ``cli.quick`` can; returns the exit status, or None where it cannot."""
    if os.environ.get("_CLAWLOG_COMPLETE"):
        from clawlog.cli.quick import completion  # noqa: PLC0415 - as the docstring says

        return completion.run(os.environ)
    match arguments:
        case ["status", *flags] if flags in ([], ["--json"]):
            from clawlog.cli.quick import status  # noqa: PLC0415 - as above

            return status.run(os.environ, as_json=bool(flags))
        case ["tasks", "--json"]:
            from clawlog.cli.quick import tasks  # noqa: PLC0415 - as above

            return tasks.run(os.environ)
        case ["--help" | "-h" | "--version"]:
            from clawlog.cli.quick import help as own_help  # noqa: PLC0415 - as above

            return own_help.run(arguments[0], os.environ)
    return None

"""Where ``clawlog`` begins: ``clawlog status`` is answered at once, as a script's call is; all else by ``main``.

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
    if sys.argv[1:] == ["status"]:
        from clawlog.cli import quick_status  # noqa: PLC0415 - as the docstring says

        status = quick_status.run(os.environ)
        if status is not None:
            os._exit(status)  # all is written; skipping the interpreter's own shutdown saves a twentieth of its start-up time
    from clawlog.cli import main as program  # noqa: PLC0415 - as above

    program.main()

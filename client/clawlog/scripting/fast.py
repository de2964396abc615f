"""The entry of every script call. (The quick way comes later in this module's life; now it leaves all to the full one.)"""

import sys


def main(script: str) -> int:
    """Runs one of the scripts on this process's arguments; returns its exit status."""
    try:
        return full(script).main(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


def full(script):
    """The module that does everything a script can."""
    if script == "update_status":
        from clawlog.scripting import update_status as module
    elif script == "create_task":
        from clawlog.scripting import create_task as module
    else:
        from clawlog.scripting import poll_interrupt as module
    return module

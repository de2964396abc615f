#!/usr/bin/env python3
"""Reports the status of a task, and checks whether a stop is requested (exit status 20); see --help."""

import os
import sys

# In a checkout the library lies beside the scripts and has their version; elsewhere the installed one is used.
_beside = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "client")
if os.path.isdir(os.path.join(_beside, "clawlog")):
    sys.path.insert(0, _beside)

if __name__ == "__main__":
    try:
        from clawlog.scripting.fast import main

        status = main("update_status")
    except ModuleNotFoundError:
        text = "the library clawlog is missing: run this in a clone of its repository, or install it from one (pip install .)"
        print(text, file=sys.stderr)
        status = 69
    except Exception as error:  # noqa: BLE001 - a part of it cannot be read, or the machine denies it something
        print(f"update_status.py: nothing could be done: {type(error).__name__}: {error}", file=sys.stderr)
        status = 69
    sys.exit(status)

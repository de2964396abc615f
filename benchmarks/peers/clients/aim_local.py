"""aim: a run in its database on this disk."""

import aim
from reporting import MARK, main


def begin(address):
    """With nothing watched besides."""
    del address
    run = aim.Run(repo=".", system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
    return lambda number: run.track(number, name="step", context={"summary": MARK}), run.close


main(begin)

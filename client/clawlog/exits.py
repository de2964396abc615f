"""The exit statuses of ``clawlog`` and of the scripts: each number is written here and nowhere else.

Those from 64 up are sysexits.h's. The fast path of the scripts loads this module, so it imports nothing.
"""

SUCCESS = 0
"""Done; of a check for a stop: none is requested."""
FAILED = 1
USAGE = 2
NOT_RUNNING = 3
"""Of ``clawlog status``: no daemon runs."""
STOP_REQUESTED = 20
"""Of the scripts: a person asked the task to stop."""
REFUSED = 65
"""EX_DATAERR: the daemon or the backend declined: an unknown task or step, a bad value."""
UNAVAILABLE = 69
"""EX_UNAVAILABLE: no daemon and no backend could be reached, or nothing could be written down."""
OUTPUT_FAILED = 74
"""EX_IOERR: what was asked for was done, but the result could not be written."""
UNKNOWN_FOR_NOW = 75
"""EX_TEMPFAIL: the stop state is stale, or the time ran out."""
INTERRUPTED = 130
"""128 and the number of SIGINT, as a shell has it."""

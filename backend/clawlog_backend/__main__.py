"""``python -m clawlog_backend``: the same program as ``clawlog backend``."""

import gc

from clawlog_backend.main import main

status = main()
gc.freeze()  # the interpreter, as it ends, would look through all objects for garbage: a quarter of a second for nothing
raise SystemExit(status)

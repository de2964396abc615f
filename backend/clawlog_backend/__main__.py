"""``python -m clawlog_backend``: the same program as ``clawlog backend``."""

from clawlog_backend.main import main

raise SystemExit(main())

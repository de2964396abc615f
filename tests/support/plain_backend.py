"""The embedded backend without its batch routes, as a program: what a server is that has the plain profile alone."""

from __future__ import annotations

import sys

from clawlog_backend.http.routes import batch
from clawlog_backend.main import main

if __name__ == "__main__":
    batch.router.routes.clear()
    sys.exit(main())

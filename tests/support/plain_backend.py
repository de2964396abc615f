"""The embedded backend without its batch routes, as a program: what a server is that has the plain profile alone."""

from __future__ import annotations

import sys

from clawlog_backend.http.examples import REQUESTS
from clawlog_backend.http.routes import batch
from clawlog_backend.main import main

if __name__ == "__main__":
    batch.router.routes.clear()
    for path in ("/api/events", "/api/control/poll"):
        del REQUESTS["post", path]  # its document speaks of them no more
    sys.exit(main())

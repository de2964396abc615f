"""Where the Chromium is that the browser tests drive, and how it is started."""

from __future__ import annotations

import os
import shutil
from typing import Any

CHROMIUM = os.environ.get("CLAWLOG_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def launch_options() -> dict[str, Any]:
    """What Playwright is to start. Chromium refuses its sandbox to root, which is who runs tests in a container."""
    return {"executable_path": CHROMIUM, "chromium_sandbox": os.geteuid() != 0}

"""Whether there is a browser to show a page in."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def has_screen(env: Mapping[str, str]) -> bool:
    """Whether a browser could show itself; one for the terminal would take that over."""
    return sys.platform == "darwin" or any(env.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))

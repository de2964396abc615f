"""A machine without agents, and where Claude Code would have its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.installation import Installation


@pytest.fixture(autouse=True)
def no_agents(fresh: Installation) -> None:
    """A machine without agents."""
    fresh.env["PATH"] = "/usr/bin:/bin"


@pytest.fixture
def settings(fresh: Installation) -> Path:
    """Claude Code's settings, which are not there yet."""
    return fresh.folder / ".claude" / "settings.json"

"""What a backend's list is asked for; apart from ``backend``, so that a command's help can say it without loading that."""

from __future__ import annotations

DEFAULT_LIMIT = 50
"""How many tasks are asked for at once."""

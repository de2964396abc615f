"""One small function for each fault, by where it strikes."""

from faults.scenarios import network, process

__all__ = ["network", "process"]

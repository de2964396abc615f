"""One small function for each fault, by where it strikes."""

from faults.scenarios import disk, network, process

__all__ = ["disk", "network", "process"]

"""One small function for each fault, by where it strikes."""

from faults.scenarios import cuts, disk, environment, hostile, network, outage, process

__all__ = ["cuts", "disk", "environment", "hostile", "network", "outage", "process"]

"""One small function for each fault, by where it strikes."""

from faults.scenarios import cuts, disk, network, outage, process, surroundings

__all__ = ["cuts", "disk", "network", "outage", "process", "surroundings"]

"""One small function for each fault, by where it strikes."""

from faults.scenarios import callers, cuts, disk, environment, hostile, mixed, network, outage, process, replicas, scripts

__all__ = ["callers", "cuts", "disk", "environment", "hostile", "mixed", "network", "outage", "process", "replicas", "scripts"]

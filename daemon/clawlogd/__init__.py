"""clawlogd: the sidecar that takes commands from agents and brings them to ClawLog backends."""

from importlib.metadata import version

__version__ = version("clawlog-status-sync")

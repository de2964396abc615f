"""clawlogd: the sidecar that takes commands from agents and brings them to ClawLog backends."""

from clawlog.locations import installed_version

__version__ = installed_version()

"""``clawlog tasks --json``, which programs poll: the daemon's own answer."""

from __future__ import annotations

from collections.abc import Mapping

from clawlog import exits, locations
from clawlog.cli.quick import printing
from clawlog.cli.sources import exchange


def run(env: Mapping[str, str]) -> int | None:
    """Prints the tasks of a daemon of this version; returns as the package says."""
    try:
        path = locations.socket_address(env)
        if not exchange.is_path(path):
            return None
        status, listed = exchange.exchange(path, (exchange.STATUS, ("task.list", {})))
        if status["version"] != locations.installed_version():  # of another, its shape is looked at first
            return None
        printing.put_json(listed)
    except BrokenPipeError:
        return exits.SUCCESS
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (OSError, ValueError, LookupError, TypeError, RecursionError, locations.Unfit):
        return None
    return exits.SUCCESS

"""The daemon's status, for commands that must not start one."""

from __future__ import annotations

import os
from dataclasses import replace

from clawlog import exits, locations
from clawlog.cli.errors import CommandError
from clawlog.cli.render import contracts
from clawlog.cli.render.contracts import ContractView
from clawlog.cli.render.daemon_lines import MOST_ACTIVE, MOST_ENDED
from clawlog.client import Client
from clawlog.connection import calls
from clawlog.connection.address import NO_LISTENER
from clawlog.connection.results import JsonObject
from clawlog.errors import ClawlogError, DaemonUnreachable
from clawlog.protocol import spool

TIMEOUT_S = 5.0


class NotRunning(CommandError):  # noqa: N818 - named like the errors of clawlog.errors
    """No daemon is running at its address."""

    status = exits.NOT_RUNNING


def status() -> JsonObject:
    """Returns the daemon's answer to ``daemon.status``.

    Raises:
        NotRunning: No daemon runs.
        DaemonUnreachable: Something listens, but does not answer.
    """
    with Client(autostart=False, timeout_s=TIMEOUT_S) as client:
        try:
            return client.daemon_status()
        except DaemonUnreachable as error:
            if isinstance(error.__context__, NO_LISTENER):
                raise NotRunning(f"no daemon at {client.address}") from None
            raise


def newest_tasks() -> tuple[JsonObject | None, JsonObject | None]:
    """Returns the newest tasks that have not ended, and those that have; None for both where the daemon does not say."""
    with Client(autostart=False, timeout_s=TIMEOUT_S) as client:
        try:
            active = client.perform(calls.list_tasks(active=True, limit=MOST_ACTIVE))
            return active, client.perform(calls.list_tasks(active=False, limit=MOST_ENDED))
        except ClawlogError:
            return None, None


def contract_of(base_url: str) -> ContractView | None:
    """Returns how the running daemon speaks to a backend; None where it does not say so within 5 s, or is an older one."""
    with Client(autostart=False, timeout_s=TIMEOUT_S) as client:
        try:
            return contracts.contract(client.perform(replace(calls.show_contract(base_url), may_take_s=0.0)))
        except ClawlogError:
            return None


def spooled_calls() -> int:
    """Returns how many script calls wait in the spool."""
    folder = os.path.join(locations.state_dir(os.environ), locations.SPOOL_NAME)
    try:
        return sum(name.endswith(spool.SUFFIX) for name in os.listdir(folder))
    except OSError:
        return 0

"""The one line that the service manager shows for the daemon (``systemctl status``)."""

from __future__ import annotations

from clawlogd.host.systemd import ServiceManager
from clawlogd.services import Services
from clawlogd.verbs.daemon import DaemonStatus, current_status


def status_line(status: DaemonStatus) -> str:
    """What waits, and what needs a person's attention."""
    waits = f"waiting events: {status.outbox.pending}, live tasks: {status.tasks.live}"
    return f"{waits}; {'; '.join(status.problems)}" if status.problems else waits


def report_status(services: Services, manager: ServiceManager) -> None:
    """Reports the daemon's status to the service manager, where there is one."""
    if manager.listens:
        manager.status(status_line(current_status(services)))

"""Reads the settings again while the daemon runs, and applies what can change without a restart.

Nothing is lost by it: no caller is disconnected, no event touched. A file that cannot be used changes nothing, and
``daemon.status`` names it as a problem until a good one is read. A setting that only a restart can change keeps its value and
is named in the log. The token needs no reload: it is read anew for each request.
"""

from __future__ import annotations

from collections.abc import Callable

from clawlogd import logs
from clawlogd.configuration import flatten, replace
from clawlogd.host.systemd import ServiceManager
from clawlogd.services import Services
from clawlogd.settings import AT_START, Settings, SettingsError
from clawlogd.text import clean_text

_log = logs.Log("reload")


class Reload:
    """Reloads one daemon's settings.

    Args:
        services: Have the settings in force.
        read: Reads the settings from their sources.
        manager: Is told when it begins and when it is over.
    """

    def __init__(self, *, services: Services, read: Callable[[], Settings], manager: ServiceManager) -> None:
        self._services = services
        self._read = read
        self._manager = manager

    def __call__(self) -> None:
        """Reloads, and has all lanes try again at once: the reason for a failure may be gone."""
        self._manager.reloading()
        try:
            self._apply(self._read())
            self._services.runtime.reload_error = None
        except Exception as error:  # noqa: BLE001 - whatever the file holds: the settings of before stay in force
            if not isinstance(error, SettingsError):
                self._services.faults.note("reload", error)
            self._services.runtime.reload_error = clean_text(error, 1000)
            _log.error("reload_failed", error=str(error))
        self._services.backends.retry_now()
        self._manager.ready()

    def _apply(self, read: Settings) -> None:
        before = dict(flatten(self._services.settings))
        changed = [key for key, value in flatten(read) if value != before[key]]
        fixed = [key for key in changed if key in AT_START]
        now = self._services.live_settings.now = replace(read, {key: before[key] for key in fixed})
        if (now.log_level, now.log_format) != (before["log_level"], before["log_format"]):
            logs.configure(now.log_level, now.log_format)  # type: ignore[arg-type]
        self._services.backends.configure()
        _log.info("reloaded", changed=", ".join(key for key in changed if key not in fixed) or "nothing")
        if fixed:
            _log.warning("restart_needed", settings=", ".join(fixed))

"""The service manager's protocols: sd_notify(3) and socket activation (sd_listen_fds(3)). Without one, nothing happens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from clawlog.protocol.summary import one_line
from clawlogd.logs import Log

_log = Log("service")

_FIRST_DESCRIPTOR = 3
_SEND_TIMEOUT_S = 2.0  # for messages that must arrive; the others are repeated soon


class ServiceManager:
    """Reports to the service manager; does nothing where there is none.

    Args:
        env: The environment variables.

    Attributes:
        watchdog_s: After how long without a feed the manager acts; None where it does not watch this process.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_us = env.get("WATCHDOG_USEC", "")
        mine = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdigit() and mine and self._address else None
        self._last_status = ""

    @property
    def listens(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self) -> None:
        """Reports that the daemon serves."""
        self._send("READY=1", timeout_s=_SEND_TIMEOUT_S)

    def status(self, text: str) -> None:
        """Reports one line for ``systemctl status``; sent only when it has changed."""
        text = one_line(text)  # a line break would begin another assignment
        if text != self._last_status and self._send(f"STATUS={text}"):
            self._last_status = text

    def alive(self) -> None:
        """Feeds the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Reports that the settings are read again; ``ready`` ends that."""
        began_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={began_us}", timeout_s=_SEND_TIMEOUT_S)

    def stopping(self) -> None:
        """Reports that the daemon ends."""
        self._send("STOPPING=1", timeout_s=_SEND_TIMEOUT_S)

    def _send(self, message: str, timeout_s: float = 0.0) -> bool:
        if not self._address:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(timeout_s)
            try:
                sock.sendto(message.encode("utf-8", "backslashreplace"), self._address)
            except OSError:
                return False  # a manager that is gone, or does not listen, must not end the daemon
        return True


def passed_sockets(env: Mapping[str, str]) -> list[socket.socket]:
    """The listening Unix sockets that a service manager passed on; others are closed, and named in the log."""
    count = env.get("LISTEN_FDS", "")
    if env.get("LISTEN_PID") != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    fitting = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError as error:  # no socket at all: not ours to close
            _log.warning("passed_descriptor_ignored", descriptor=descriptor, reason=str(error))
            continue
        if _fits(sock):
            sock.set_inheritable(False)
            fitting.append(sock)
        else:
            _log.warning("passed_socket_ignored", descriptor=descriptor, reason="not a listening Unix stream socket")
            sock.close()
    return fitting


def _fits(sock: socket.socket) -> bool:
    stream = sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM
    return stream and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

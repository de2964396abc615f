"""The service manager's protocols: sd_notify(3) and socket activation (sd_listen_fds(3)). Without one, nothing happens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3


class ServiceManager:
    """Tells the service manager how the daemon stands.

    Args:
        env: The environment.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_us = env.get("WATCHDOG_USEC", "")
        mine = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdigit() and mine and self._address else None
        self._last_status = ""

    def ready(self) -> None:
        """The daemon serves."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; said only when it changed."""
        if text != self._last_status:
            self._last_status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """The daemon makes progress."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(message.encode(), self._address)
            except OSError:
                return  # a manager that is gone must not take the daemon with it


def passed_sockets(env: Mapping[str, str]) -> list[socket.socket]:
    """The listening Unix sockets that a service manager passed on."""
    if env.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(env.get("LISTEN_FDS", "0"))
    sockets = [socket.socket(fileno=descriptor) for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count)]
    for sock in sockets:
        sock.set_inheritable(False)
    return [sock for sock in sockets if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM]

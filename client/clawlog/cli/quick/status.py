"""``clawlog status`` where all is well: a person types it often, and prompts and bars poll it.

It looks at what ``cli.checks`` looks at beside the daemon's answer, and draws the same screen, or prints the same document.
Anything unusual (no daemon, a problem, another version, a folder that others can read, a backend that was not reached, a clock
that differs) is left to the command itself, which finds out what it is and says what to do. So this knows when nothing is
wrong, and never what is; ``tests/process/cli/test_ten_faults.py`` tries both.
"""

from __future__ import annotations

import os
import stat
from _socket import IPPROTO_TCP, SOCK_STREAM, getaddrinfo, socket
from collections.abc import Mapping
from datetime import UTC, datetime

from clawlog import exits, locations
from clawlog.cli.quick import printing
from clawlog.cli.render import daemon_lines, states
from clawlog.cli.sources import exchange
from clawlog.protocol.vocabulary import PROTOCOL_VERSION

_PROBE_S = 2.0
_LOW_BYTES = 256 * 1024**2
_SKEW_S = 10.0
_EARLIEST_YEAR = 2025
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TASKS = (
    ("task.list", {"active": True, "limit": daemon_lines.MOST_ACTIVE}),
    ("task.list", {"active": False, "limit": daemon_lines.MOST_ENDED}),
)
"""What is asked for the screen's first line."""


def run(env: Mapping[str, str], *, as_json: bool = False) -> int | None:
    """Prints the status of a daemon with which all is well; returns as the package says."""
    try:
        path = locations.socket_address(env)
        if not _is_sound(path, locations.state_dir(env)):
            return None
        answer, *listed = exchange.exchange(path, (exchange.STATUS, *(() if as_json else _TASKS)))
        if not _is_well(answer, path, env):
            return None
        if as_json:
            printing.put_json({"running": True, **answer, "findings": []})
            return exits.SUCCESS
        screen = daemon_lines.screen(answer, daemon_lines.fleet(answer, *listed), (), healthy=True)
        printing.put("".join(f"{each}\n" for each in states.painted(screen, colour=states.has_colour(env))))
    except BrokenPipeError:
        return exits.SUCCESS
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, locations.Unfit):
        return None
    return exits.SUCCESS


def _is_sound(path: str, state_dir: str) -> bool:
    """Whether socket and state folder are as they should be, by the rules of ``checks.sockets`` and ``checks.state``."""
    if not exchange.is_path(path):
        return False
    us = os.geteuid()
    folder, found = os.lstat(os.path.dirname(path)), os.lstat(path)
    if stat.S_ISLNK(folder.st_mode) or folder.st_uid not in (us, 0) or not stat.S_ISSOCK(found.st_mode):
        return False
    if (folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX) or found.st_uid not in (us, 0) or found.st_mode & 0o007:
        return False
    state = os.lstat(state_dir)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != us or state.st_mode & 0o077:
        return False
    disk = os.statvfs(state_dir)
    room = disk.f_bavail * disk.f_frsize >= _LOW_BYTES and (disk.f_favail > 0 or not disk.f_files)
    return room and os.access(state_dir, os.R_OK | os.W_OK | os.X_OK)


def _is_well(answer: dict[str, object], path: str, env: Mapping[str, str]) -> bool:
    """Whether the daemon is the right one, and neither it nor its backend has anything to remark."""
    if not answer["healthy"] or answer["problems"] or answer["protocol"] != PROTOCOL_VERSION:
        return False
    if answer["version"] != locations.installed_version():
        return False
    is_shared = os.path.dirname(path) == locations.SYSTEM_SOCKET_DIR
    if not is_shared and os.path.realpath(str(answer["state_dir"])) != os.path.realpath(locations.state_dir(env)):
        return False
    base_url = (env.get("CLAWLOG_BASE_URL") or str(answer["base_url"])).rstrip("/")
    lanes = answer["backends"]
    lane = next((each for each in lanes if each["base_url"] == base_url), None) if isinstance(lanes, list) else None
    return lane is not None and lane["state"] in ("idle", "delivering") and _agrees(base_url, env)


def _agrees(base_url: str, env: Mapping[str, str]) -> bool:
    """Whether the backend's clock agrees with this machine's, as far as it tells its own."""
    now = datetime.now(UTC)
    scheme, _, rest = base_url.partition("://")
    place, _, folder = rest.partition("/")
    if now.year < _EARLIEST_YEAR or scheme != "http" or "@" in place or not base_url.isascii() or not base_url.isprintable():
        return False
    host, port = (place, "80") if ":" not in place.rpartition("]")[2] else place.rsplit(":", 1)
    host = host.strip("[]")
    if host != "localhost" and not host.startswith("127.") and any(env.get(name) for name in _PROXIES):
        return False
    try:
        sent = _date(host, int(port), f"/{folder}/" if folder else "/", place)
    except OSError:
        return True  # the daemon reaches it, and says so when it does not
    return sent is None or abs((now - sent).total_seconds()) <= _SKEW_S


def _date(host: str, port: int, path: str, place: str) -> datetime | None:
    """Returns the time that a server sends with an answer; None where it sends none.

    Raises:
        OSError: It does not answer.
        ValueError: What it sends is no time.
    """
    family, kind, protocol, _, where = getaddrinfo(host.encode(), port, 0, SOCK_STREAM, IPPROTO_TCP)[0]
    connection = socket(family, kind, protocol)
    try:
        connection.settimeout(_PROBE_S)
        connection.connect(where)
        connection.sendall(f"HEAD {path} HTTP/1.0\r\nHost: {place}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 16_384 and (chunk := connection.recv(4096)):
            head += chunk
    finally:
        connection.close()
    for line in head.split(b"\r\n"):
        if line[:5].lower() == b"date:":
            _, day, month, year, clock, *_ = line[5:].decode("ascii").split()  # Thu, 26 Nov 2026 21:31:21 GMT
            hours, minutes, seconds = map(int, clock.split(":"))
            return datetime(int(year), _MONTHS.index(month) + 1, int(day), hours, minutes, min(seconds, 59), tzinfo=UTC)
    return None

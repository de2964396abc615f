"""The backend's settings: one frozen object, made once at the start, and where its values come from."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_KEEP_DAYS = 30.0
DEFAULT_REQUESTS_PER_S = 200.0
DEFAULT_POOL = 8
DEFAULT_TRACES_WAITING = 100_000
MOST_TRACES_WAITING = 10_000_000
SMALLEST_POOL = 2  # one connection writes, the others read
LARGEST_POOL = 100
SECTIONS = ("notifications", "otel")
"""The sections of the settings' file. Each is read by whom it is for."""
_SETTINGS_BYTES = 1024 * 1024
_TOKEN_BYTES = 4_096
_SHORTEST_TOKEN = 16  # characters; a shorter one can be guessed


_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


class SettingsError(Exception):
    """A setting with which the backend cannot start; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class TraceReceiver:
    """Where traces go, and as whose.

    Attributes:
        url: Where they are posted.
        headers: What goes with them; may hold a secret.
        timeout_s: How long one request may take.
        gzip: Whether they are compressed.
        certificate: A file of certificates by which the receiver is known.
        client_certificate: This program's own, with ``client_key``.
        resource: The attributes of what they come from, ``service.name`` among them.
        most_waiting: How many runs of tasks may wait to be sent; beyond that the oldest are dropped.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    gzip: bool = False
    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    most_waiting: int = DEFAULT_TRACES_WAITING


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run.

    Attributes:
        database: An SQLAlchemy URL, or the path of an SQLite file.
        host: The address to listen on.
        port: The TCP port; 0 takes a free one.
        token: What callers have to present; ``None`` only on a loopback address.
        keep_days: Tasks without a sign of life for longer are removed; 0 keeps all.
        allowed_hosts: Further host names under which the backend may be reached.
        requests_per_s: How many requests a second a client on another machine may send, over ten seconds; 0 for any number.
        max_streams: How many event streams may be open at once.
        root_path: The path below which a proxy shows the backend, such as ``/clawlog``; empty for the top.
        max_polls: How many long polls may wait at once.
        pool: How many connections to hold to a PostgreSQL server.
        accept_data_loss: Use a PostgreSQL server that may lose what it has acknowledged.
        traces: Where tasks that ended are exported as traces; ``None`` for nowhere.
    """

    database: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    keep_days: float = DEFAULT_KEEP_DAYS
    allowed_hosts: tuple[str, ...] = ()
    requests_per_s: float = DEFAULT_REQUESTS_PER_S
    max_streams: int = 1_000
    max_polls: int = 5_000
    root_path: str = ""
    pool: int = DEFAULT_POOL
    accept_data_loss: bool = False
    traces: TraceReceiver | None = None

    def __post_init__(self) -> None:
        if self.root_path and not _ROOT_PATH.fullmatch(self.root_path):
            raise SettingsError(
                f"--root-path {self.root_path!r} is not a path: expected one such as /clawlog or /tools/clawlog"
            )
        if self.token is None and not is_loopback(self.host):
            raise SettingsError(
                f"refusing to listen on {self.host} without a token: anyone who reaches it could read and stop tasks. "
                "Set CLAWLOG_TOKEN_FILE (or CLAWLOG_TOKEN), or listen on 127.0.0.1"
            )


def check_shown_database(text: str) -> None:
    """Refuse a database's URL with a password among a program's arguments: every user of the machine can read those.

    Raises:
        SettingsError: It has one; the text does not repeat it.
    """
    if "://" not in text:
        return
    parts = urlsplit(text)
    if parts.password is not None or any(name.endswith("password") for name, _ in parse_qsl(parts.query)):
        raise SettingsError(
            "refusing a database URL with a password in it: whoever lists this machine's processes could read it. Leave it "
            "out, and put it into the file that PGPASSFILE names (default ~/.pgpass, mode 0600) or into PGPASSWORD"
        )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone. No name but ``localhost`` counts as such."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def default_database(environ: Mapping[str, str]) -> Path:
    """The database's default path: ``backend.db`` in the state directory."""
    for name in ("CLAWLOG_STATE_DIR", "STATE_DIRECTORY"):
        if environ.get(name):
            return Path(environ[name]) / "backend.db"
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "clawlog" / "backend.db"


def settings_file(named: str | None, environ: Mapping[str, str]) -> Path | None:
    """The settings' file: the one that is named, by a flag or ``CLAWLOG_BACKEND_CONFIG``, else the usual one that is there."""
    named = named or environ.get("CLAWLOG_BACKEND_CONFIG")
    if named:
        return Path(named).expanduser().absolute()
    own = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else None)
    usual = ([Path(own) / "clawlog" / "backend.toml"] if own else []) + [Path("/etc/clawlog/backend.toml")]
    return next((path for path in usual if path.exists()), None)


def read_settings_file(path: Path | None) -> dict[str, Any]:
    """What a settings' file says, by its sections; nothing without one.

    Raises:
        SettingsError: It cannot be read, is not TOML, or has a section that there is none of. The text repeats nothing of it.
    """
    if path is None:
        return {}
    import tomllib  # noqa: PLC0415 - who has no file need not pay for it

    try:
        with path.open("rb") as file:
            text = file.read(_SETTINGS_BYTES + 1)
        if len(text) > _SETTINGS_BYTES:
            raise SettingsError(f"{path} is no file of settings: it has more than {_SETTINGS_BYTES} bytes")
        found = tomllib.loads(text.decode())
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    for name in found:
        if name not in SECTIONS:
            raise SettingsError(f"{path}: there is no section {name!r}: expected one of {', '.join(SECTIONS)}")
    return found


def read_token(environ: Mapping[str, str]) -> str | None:
    """The token: from ``CLAWLOG_TOKEN_FILE``, systemd's ``clawlog-token`` credential, or ``CLAWLOG_TOKEN``; in this order.

    Raises:
        SettingsError: A token file cannot be read, or its content cannot be a token.
    """
    if environ.get("CLAWLOG_TOKEN_FILE"):
        return _checked(_read(Path(environ["CLAWLOG_TOKEN_FILE"])), "CLAWLOG_TOKEN_FILE")
    credential = Path(environ.get("CREDENTIALS_DIRECTORY") or os.devnull) / "clawlog-token"
    if credential.is_file():
        return _checked(_read(credential), "the credential clawlog-token")
    if environ.get("CLAWLOG_TOKEN"):
        return _checked(environ["CLAWLOG_TOKEN"], "CLAWLOG_TOKEN")
    return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_TOKEN_BYTES + 1).removeprefix(codecs.BOM_UTF8).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the token from {path}: {error}") from error


def _checked(text: str, source: str) -> str:
    token = text.strip()
    if (
        len(token) < _SHORTEST_TOKEN
        or len(token) > _TOKEN_BYTES
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise SettingsError(
            f"the token from {source} has to be one line of at least {_SHORTEST_TOKEN} printable ASCII characters; "
            "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return token

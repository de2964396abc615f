"""The settings of the daemon that commands need: the default backend, the file with its token, and the way to it.

The daemon's own reading of ``clawlog.toml`` is authoritative (``clawlogd --check-config``); here only these keys are read,
from the same places in the same order.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clawlog import exits, locations
from clawlog.cli.errors import CommandError
from clawlog.protocol.addresses import same_server


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings.

    Attributes:
        base_url: The backend of tasks that name none.
        token_file: The file with that backend's token, if one was named.
        path: The configuration file that was read.
        ca_file: The file with authorities that are trusted beside the system's.
        client_cert_file: The file with the certificate that is shown to a backend.
        own_token_files: Each backend with a token of its own, and the file with it.
    """

    base_url: str
    token_file: str | None
    path: str | None
    ca_file: str | None = None
    client_cert_file: str | None = None
    own_token_files: tuple[tuple[str, str], ...] = ()


def load(env: Mapping[str, str]) -> Configuration:
    """Reads them from the environment, else from the file.

    Raises:
        CommandError: The file cannot be read, or is not TOML.
    """
    path = locations.config_file(env)
    found: dict[str, object] = {}
    if path is not None:
        try:
            found = tomllib.loads(locations.read_file(path).decode("utf-8-sig"))
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}; check CLAWLOG_CONFIG", exits.USAGE) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} is not TOML: {error}; see: clawlogd --check-config", exits.USAGE) from None
    base_url = env.get("CLAWLOG_BASE_URL") or found.get("base_url") or locations.DEFAULT_BASE_URL
    token_file = env.get("CLAWLOG_TOKEN_FILE") or found.get("token_file")
    http = found.get("http")
    http = http if isinstance(http, dict) else {}
    ca_file = env.get("CLAWLOG_HTTP_CA_FILE") or http.get("ca_file")
    client_cert_file = env.get("CLAWLOG_HTTP_CLIENT_CERT_FILE") or http.get("client_cert_file")
    return Configuration(
        base_url=str(base_url).rstrip("/"),
        token_file=str(token_file) if token_file else None,
        path=path,
        ca_file=str(ca_file) if ca_file else None,
        client_cert_file=str(client_cert_file) if client_cert_file else None,
        own_token_files=tuple(_own_token_files(found.get("backend"))),
    )


def _own_token_files(tables: object) -> Iterator[tuple[str, str]]:
    for each in tables if isinstance(tables, list) else ():
        if isinstance(each, dict) and each.get("base_url") and each.get("token_file"):
            yield str(each["base_url"]), str(each["token_file"])


def token(configuration: Configuration, base_url: str, env: Mapping[str, str]) -> str | None:
    """Returns the token for a backend: its own, else that of the default backend for that alone; no other must learn it.

    Raises:
        CommandError: The file that was named cannot be read, or holds no token.
    """
    own = next((file for url, file in configuration.own_token_files if same_server(url, base_url)), None)
    if own is None and not same_server(base_url, configuration.base_url):
        return None
    path = own or configuration.token_file
    named = "token_file in its table [[backend]]" if own else "CLAWLOG_TOKEN_FILE"
    if path is None:
        text = env.get("CLAWLOG_TOKEN", "")
    else:
        try:
            text = locations.read_file(path, 64 * 1024).removeprefix(codecs.BOM_UTF8).decode("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"the token file {path} cannot be read: {error}; check {named}", exits.USAGE) from None
        if not text.strip():
            raise CommandError(f"the token file {path} is empty", exits.USAGE)
    text = text.strip()
    if not text.isprintable() or " " in text:
        raise CommandError("the token holds spaces or control characters", exits.USAGE)
    return text or None

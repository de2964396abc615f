"""The bearer token: read from where the operator keeps it, never from a command line, and never written anywhere."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path

from clawlog import locations
from clawlog.protocol.addresses import same_server
from clawlogd.settings import Backend, LiveSettings

CREDENTIAL_NAME = "clawlog-token"
_MAX_BYTES = 64 * 1024


class TokenSource:
    """Finds the token anew whenever it is asked, so that a changed file counts without a restart.

    Order: the backend's own ``token_file``; then, for the default backend alone, ``CLAWLOG_TOKEN_FILE`` (or the setting
    ``token_file``), systemd's ``$CREDENTIALS_DIRECTORY/clawlog-token``,
    ``CLAWLOG_TOKEN``.

    Args:
        env: The environment.
        settings: Name the file, and the backend that the token belongs to: it is sent to no other.
    """

    def __init__(self, *, env: Mapping[str, str], settings: LiveSettings) -> None:
        self._env = env
        self._settings = settings

    def read(self, base_url: str) -> str | None:
        """The token for a backend, or None where there is none.

        Raises:
            OSError: The file that was named cannot be read.
            ValueError: It holds no usable token.
        """
        settings = self._settings.now
        own = next((each.token_file for each in settings.backend if _is_for(each, base_url)), None)
        if own is None and not same_server(base_url, settings.base_url):
            return None
        path = own or settings.token_file or self._env.get("CLAWLOG_TOKEN_FILE")
        if path is None and (folder := self._env.get("CREDENTIALS_DIRECTORY")):
            candidate = Path(folder) / CREDENTIAL_NAME
            path = str(candidate) if candidate.exists() else None
        token = _read(path) if path else self._env.get("CLAWLOG_TOKEN", "").strip()
        if path and not token:
            raise ValueError("the token file is empty")
        if not token.isprintable() or " " in token:
            raise ValueError("the token holds spaces or control characters")
        return token or None


def _is_for(backend: Backend, base_url: str) -> bool:
    return backend.token_file is not None and same_server(backend.base_url, base_url)


def _read(path: str) -> str:
    return locations.read_file(path, _MAX_BYTES).removeprefix(codecs.BOM_UTF8).decode("ascii").strip()

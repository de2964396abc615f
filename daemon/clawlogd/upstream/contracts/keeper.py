"""Keeps the contracts that were found, in the state folder, so that a restart need not look for them again."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec

from clawlogd.upstream.contracts.contract import Contract

_MAX_BYTES = 1 << 20


class _Kept(msgspec.Struct, frozen=True):
    """A file of the keeper's."""

    base_url: str
    contract: Contract


class Keeper:
    """The contracts in one folder.

    Args:
        folder: The folder; made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, base_url: str) -> Contract | None:
        """The contract that was found for a backend; None where there is none that can be read."""
        try:
            content = self._path(base_url).read_bytes()
            kept = msgspec.json.decode(content, type=_Kept) if len(content) <= _MAX_BYTES else None
        except (OSError, msgspec.MsgspecError, ValueError):
            return None
        return kept.contract if kept is not None and kept.base_url == base_url else None

    def store(self, base_url: str, contract: Contract) -> None:
        """Keeps a contract. Where that fails it will be found anew."""
        path = self._path(base_url)
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(_Kept(base_url, contract)))
            draft.replace(path)

    def drop(self, base_url: str) -> None:
        """Forgets a contract."""
        with contextlib.suppress(OSError):
            self._path(base_url).unlink()

    def _path(self, base_url: str) -> Path:
        return self._folder / f"{hashlib.sha256(base_url.encode()).hexdigest()[:32]}.json"

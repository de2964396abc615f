"""The domain's errors: what can be wrong with a command or the storage, without a wire in it.

``rpc/refusals`` says what a caller is answered. Names have no ``Error`` suffix: they name what happened.
"""

from __future__ import annotations


class OutboxError(Exception):
    """The outbox could not do what was asked; nothing was half-done."""


class StorageFailed(OutboxError):
    """A commit or a read failed: nothing of a commit is on disk, and memory has been put back."""


class StorageDamaged(StorageFailed):
    """SQLite found its file damaged: the daemon must start anew, which recovers what can be read."""


class OutboxFull(OutboxError):
    """A bound is reached: nothing was accepted, and nothing old was dropped."""


class DuplicateEvent(StorageFailed):
    """An event id was there already although nothing had told so: the group it was in was not committed."""

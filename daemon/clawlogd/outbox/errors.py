"""Why the outbox did not take or give something."""


class OutboxError(Exception):
    """The outbox could not do what was asked; nothing was half-done."""


class StorageFailedError(OutboxError):
    """A commit or a read failed: nothing of a commit is on disk, and memory has been put back."""


class DamagedError(StorageFailedError):
    """SQLite found its file damaged: the daemon must start anew, which recovers what can be read."""


class OutboxFullError(OutboxError):
    """A bound is reached: nothing was accepted, and nothing old was dropped."""


class DuplicateEventError(StorageFailedError):
    """An event id was there already although nothing had told so: the group it was in was not committed."""

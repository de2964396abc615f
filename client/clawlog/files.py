"""Writes files that belong to somebody else: they keep their kind, mode, owner, place and second names.

A plain file of one's own is replaced, so that it is there whole or not at all; a new one is its owner's alone. What is anything
else (a link's target is what is written, a pipe, a device, a file of another user or with a second name) is written into.
"""

from __future__ import annotations

import errno
import os
import stat

_ATTEMPTS = 10


def write(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Writes a file.

    Args:
        path: Where; a link is followed, also one to a file that is still to be made.
        content: What.
        mode: The permissions of a new file.

    Raises:
        OSError: It could not be written.
    """
    if not path:
        raise FileNotFoundError(errno.ENOENT, "its name is empty", path)  # a path relative to here would be here itself
    if path.startswith(("/dev/", "/proc/")):  # /dev/stdout may be a file, which is not for replacing
        _write_into(path, content, os.O_APPEND)
        return
    target = os.path.realpath(path)
    try:
        found = os.stat(target)
    except FileNotFoundError:
        _replace(target, content, mode)
        return
    if not _is_plain(found, target):
        _write_into(target, content, os.O_TRUNC if stat.S_ISREG(found.st_mode) else 0)
        return
    try:
        _replace(target, content, stat.S_IMODE(found.st_mode))
    except PermissionError:  # nothing can be made in its folder
        _write_into(target, content, os.O_TRUNC)


def _is_plain(found: os.stat_result, path: str) -> bool:
    """Whether replacing the file changes nothing but its content."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        return False
    try:
        return os.listxattr(path) in ([], ["security.selinux"])
    except (AttributeError, OSError):  # not on this system, or not on this file system
        return True


def _write_into(path: str, content: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | flags)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.fsync(fd)


def _replace(path: str, content: bytes, mode: int) -> None:
    draft, fd = _new_draft(path)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(content)
            file.flush()
            os.fsync(fd)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _new_draft(path: str) -> tuple[str, int]:
    """Makes a file beside another one, under a name that nobody can foresee, over nothing and through no link."""
    for attempt in range(_ATTEMPTS):
        draft = f"{path}.{os.urandom(6).hex()}.draft"
        try:
            return draft, os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")

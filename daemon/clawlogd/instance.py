"""One daemon per state folder: the lock first, then the sockets.

Both asyncio and libzmq silently take over the path of a live socket; so nothing is removed before the lock is held and the
socket is known to be dead. Folders are private, no symbolic link is followed, and a socket is private from its creation.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from clawlog import locations

LOCK_NAME = "clawlogd.lock"
_FILES = ("outbox.", "ballast")  # what the names of the state's other files begin with


class InstanceError(Exception):
    """The daemon cannot run here; the text says why and what to do. Nothing was changed."""


class AlreadyRunningError(InstanceError):
    """Another daemon has this state folder."""


def private_folder(path: Path) -> Path:
    """Creates a folder that only its owner may enter, or checks an existing one.

    Raises:
        InstanceError: It is a symbolic link, not a folder, or belongs to another user.
    """
    try:
        locations.private_folder(str(path))
    except locations.Unfit as error:
        raise InstanceError(str(error)) from None
    return path


def check_files(state_dir: Path) -> None:
    """Checks what has the name of a file of the state's: a pipe there would hold the daemon for ever, deaf to signals.

    Raises:
        InstanceError: Something there is no file, or somebody else's.
    """
    for path in state_dir.iterdir():
        if path.name != LOCK_NAME and not path.name.startswith(_FILES):
            continue
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise InstanceError(
                    f"{path} is not a file of user {os.geteuid()}, as whom this runs; remove it, or choose another --state-dir"
                )


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Holds the state folder for this process.

    Raises:
        AlreadyRunningError: Another process holds it.
        InstanceError: The folder cannot be written to.
    """
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise InstanceError(
            f"{state_dir / LOCK_NAME} cannot be opened: {error.strerror}; see whether the folder may be written to, "
            "or choose another --state-dir"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"a clawlogd (pid {holder}) has the state folder {state_dir}; use it, or give this one another --state-dir"
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def path_of(sock: socket.socket) -> Path | None:
    """Where a Unix socket was bound; None for one without a path."""
    name = sock.getsockname()
    return Path(name) if isinstance(name, str) and name.startswith("/") else None


def access_of(path: Path) -> tuple[int | None, int | None]:
    """The group and the mode of what is at a path, to be given to what takes its place; None where nothing is there."""
    try:
        found = path.lstat()
    except OSError:
        return None, None
    return (None if found.st_gid == os.getegid() else found.st_gid), stat.S_IMODE(found.st_mode)


def is_dead(path: Path) -> bool:
    """Whether nobody listens at a socket's path, or there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        return probe.connect_ex(str(path)) in (errno.ECONNREFUSED, errno.ENOENT)


def bind_unix(path: Path, *, group_id: int | None = None, mode: int | None = None) -> socket.socket:
    """Binds a Unix socket, private from its creation; a dead one in its place is removed, a live one is not.

    Args:
        path: Where.
        group_id: A group whose members may connect, too.
        mode: Who may connect, where that is not this user alone, or with that group.

    Raises:
        InstanceError: Something else is there, or the path cannot be used.
    """
    if len(os.fsencode(path)) > 107:
        raise InstanceError(
            f"{path}: longer than the 107 bytes that a socket's path may have; set CLAWLOG_SOCKET to a shorter one"
        )
    private = path.parent
    if not private.exists():
        private_folder(private)
    else:
        _refuse_open_folder(private)
    _remove_dead(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        if group_id is not None:
            os.chown(path, -1, group_id, follow_symlinks=False)
        if group_id is not None or mode is not None:
            path.chmod(0o660 if mode is None else mode)
    except OSError as error:
        sock.close()
        raise InstanceError(f"{path}: cannot be bound: {error.strerror}; check the folder, or set CLAWLOG_SOCKET") from None
    return sock


def _refuse_open_folder(path: Path) -> None:
    """Refuses a folder in which others may write: they could replace the socket by one of their own."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise InstanceError(f"{path} is a symbolic link; name the folder itself")
    if found.st_uid not in {os.geteuid(), 0}:
        raise InstanceError(f"{path} belongs to user {found.st_uid}; choose a folder of your own, or set CLAWLOG_SOCKET")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise InstanceError(f"{path}: others may write there; take that from them (chmod go-w), or set CLAWLOG_SOCKET")


def _remove_dead(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise InstanceError(f"{path} is there and is no socket; remove it, or set CLAWLOG_SOCKET to another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise InstanceError(f"{path}: cannot be probed: {error.strerror}; remove it if nothing uses it") from None
    raise AlreadyRunningError(f"something serves {path} already; stop it, or set CLAWLOG_SOCKET to another path")

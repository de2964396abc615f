"""The way out of a sandbox: calls as files in a folder that both sides can write to, and that the daemon empties.

A sandbox forbids the daemon's socket, and its spool is read-only there. What is written in its place has the spool's own
format. A folder is used only where it is a real folder of one's own that nobody else may enter, within one in which nobody
else could replace it. The daemon says in ``run/drops`` of its state folder which ones it empties; that file's age shows
whether it lives.

A script in a sandbox loads this module at every call, so it imports next to nothing.
"""

import os
import time
from itertools import count
from stat import S_ISREG

from clawlog import locations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUFFIX = ".call"
"""As ``protocol.spool`` has it."""

MAX_ENTRIES = 10_000
"""A folder that holds more is used by neither side: something is wrong with it."""

ALIVE_S = 6.0
"""The daemon renews its file every two seconds."""

_MAX_LIST_BYTES = 256 * 1024
_drafts = count()


class NoPlace(Exception):  # noqa: N818 - names what is the case
    """No folder can be used; the text says why not, for each."""


class Daemon:
    """What the state folder tells of the daemon.

    Attributes:
        alive: Whether one has been there within the last seconds.
        marks: The folders that it empties, or that the last one emptied, each with its mark.
    """

    __slots__ = ("alive", "marks")

    def __init__(self, *, alive: bool, marks: "Mapping[str, str]") -> None:
        self.alive = alive
        self.marks = marks

    def empties(self, path: str) -> bool:
        """Whether a folder is one of those: the same, not another that it sees by the same path."""
        return self.rank(path) == 0

    def rank(self, path: str) -> int:
        """How likely it is that the daemon finds what is put into a folder: the lower the better."""
        mark = self.marks.get(path)
        if mark is None:
            return 2
        if mark == "-":  # to be made
            return 1
        return 0 if mark == locations.drop_mark(path) else 3


def daemon(env: "Mapping[str, str]") -> Daemon:
    """Looks in the state folder, which can be read from most sandboxes."""
    try:
        path = f"{locations.state_dir(env)}/{locations.DROPS_NAME}"
        content, changed_s = read_own(path, _MAX_LIST_BYTES)
    except (OSError, ValueError, locations.Unfit):
        return Daemon(alive=False, marks={})
    parts = [line.partition(" ") for line in os.fsdecode(content).splitlines()]
    alive = -ALIVE_S < time.time() - changed_s < ALIVE_S
    return Daemon(alive=alive, marks={path: mark for mark, _, path in parts})


def read_own(path: str, max_bytes: int) -> tuple[bytes, float]:
    """Reads a file of one's own. Returns the content, and when it was changed, in seconds since 1970.

    Raises:
        OSError: It cannot be read, or is no file of one's own.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        content = os.read(descriptor, max_bytes) if S_ISREG(found.st_mode) else b""
    finally:
        os.close(descriptor)
    if not S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(1, "not a file of one's own", path)
    return content, found.st_mtime


def places(env: "Mapping[str, str]") -> list[str]:
    """Returns the folders that may be used, in the order in which they are tried.

    Raises:
        Unfit: The user has no home folder, and nothing names a state folder.
    """
    state = locations.state_dir(env)
    found = locations.drop_places(env, locations.drop_key(state))
    if (root := _project()) is not None:
        found.append(f"{root}/{locations.project_drop(state)}")
    return list(dict.fromkeys(found))


def put(content: bytes, env: "Mapping[str, str]", *, durable: bool = True) -> tuple[str, str]:
    """Adds a file to the first folder that can be used; those that the daemon empties come first. Returns folder and file.

    Args:
        content: The file's content.
        env: The environment variables.
        durable: Whether it must survive a power cut.

    Raises:
        NoPlace: There is none.
    """
    reasons = []
    try:
        known = places(env)
    except locations.Unfit as error:
        raise NoPlace(str(error)) from None
    known_daemon = daemon(env)
    for path in sorted(known, key=known_daemon.rank):  # stable
        try:
            descriptor = open_place(path)
        except (OSError, locations.Unfit) as error:
            reasons.append(_why(path, error))
            continue
        try:
            name = put_in(descriptor, content, durable=durable, most=MAX_ENTRIES)
        except (OSError, locations.Unfit) as error:
            reasons.append(_why(path, error))
        else:
            return path, name
        finally:
            os.close(descriptor)
    raise NoPlace("; ".join(reasons))


def open_place(path: str) -> int:
    """Makes a folder, or checks one that is there. Returns its descriptor.

    Raises:
        OSError: It cannot be made or opened; a link in its place is not followed.
        Unfit: It is somebody else's, or somebody else could replace it.
    """
    parent = os.path.dirname(path)
    is_of_project = parent.endswith("/" + locations.PROJECT_DROP)
    if (around := locations.around_drop(path)) != parent:
        locations.check_parent(around)
        _make(parent)
    locations.check_drop(path)
    _make(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(descriptor)
        raise locations.Unfit(f"{path} belongs to user {found.st_uid}, or others may enter it (chmod 700)")
    if is_of_project:
        _ignore(f"{parent}/.gitignore")
    return descriptor


def _make(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def put_in(folder_fd: int, content: bytes, *, durable: bool = True, most: "int | None" = None) -> str:
    """Adds a file to a folder, behind those that are there; it is there whole or not at all. Returns its name.

    Args:
        folder_fd: The folder.
        content: The file's content.
        durable: Whether it must survive a power cut.
        most: How much the folder may hold already.

    Raises:
        OSError: It could not be written; nothing is left of it.
        Unfit: The folder holds too much.
    """
    draft, descriptor = _new_draft(folder_fd)
    try:
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        while True:
            names = os.listdir(folder_fd)
            if most is not None and len(names) > most:
                raise locations.Unfit(f"holds more than {most} files")
            name = _next_name(names)
            try:
                os.link(draft, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)  # never over another one
                break
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno not in _no_links():
                    raise
                os.rename(draft, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
                break
    finally:
        _remove(draft, folder_fd)
    if durable:
        os.fsync(folder_fd)
    return name


def _next_name(existing: "Sequence[str]") -> str:
    """Returns a name behind all that are there: a number that only grows, whatever the clock does."""
    stems = [name[: -len(SUFFIX)] for name in existing if name.endswith(SUFFIX)]
    numbers = [int(stem) for stem in stems if stem.isdecimal() and len(stem) <= 20]
    return f"{max([time.time_ns(), *(number + 1 for number in numbers)]):020d}{SUFFIX}"


def _new_draft(folder_fd: int) -> tuple[str, int]:
    while True:
        draft = f"{time.time_ns()}-{os.getpid()}-{next(_drafts)}.draft"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return draft, os.open(draft, flags, 0o600, dir_fd=folder_fd)
        except FileExistsError:  # of a process with the same number, in another sandbox
            continue


def _no_links() -> tuple[int, ...]:
    """How a file system says that it has no second names."""
    from errno import EMLINK, ENOTSUP, EPERM  # noqa: PLC0415 - hardly ever needed

    return EPERM, ENOTSUP, EMLINK


def _remove(name: str, folder_fd: int) -> None:
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return


def _ignore(path: str) -> None:
    """Keeps a project's own folder out of its repository."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # it is there
        return
    os.write(descriptor, b"*\n")
    os.close(descriptor)


def _project() -> "str | None":
    """The root of the project in which this program works: the nearest folder with a repository, else its own."""
    try:
        path = here = os.getcwd()
    except OSError:
        return None
    return locations.project_root(path) or here


def _why(path: str, error: Exception) -> str:
    text = str(error.strerror if isinstance(error, OSError) else error)
    return text if text.startswith(path) else f"{path}: {text}"

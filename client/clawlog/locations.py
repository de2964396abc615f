"""Where the daemon's socket, state and log are: client and daemon find each other by these rules, so they are written once.

Order for the state: ``CLAWLOG_STATE_DIR``, systemd's ``STATE_DIRECTORY``, ``$XDG_STATE_HOME/clawlog``,
``~/.local/state/clawlog``.
Order for the socket: ``CLAWLOG_SOCKET``, ``$XDG_RUNTIME_DIR/clawlog`` where that folder is there and the user's own,
``/run/clawlog`` where that is ours to use, the state's ``run`` folder. A state folder chosen by ``CLAWLOG_STATE_DIR`` holds its
socket, too: two state folders mean two daemons.
"""

import os
import sys
from stat import S_ISDIR, S_ISLNK, S_ISREG, S_ISVTX

TYPE_CHECKING = False
if TYPE_CHECKING:  # collections would cost every script call a tenth of its time
    from collections.abc import Mapping

SYSTEM_SOCKET_DIR = "/run/clawlog"
SYSTEM_CONFIG = "/etc/clawlog/clawlog.toml"
SOCKET_NAME = "clawlogd.sock"
SPOOL_NAME = "spool"
DROPS_NAME = "run/drops"
"""In the state folder: names the drops that the daemon empties, a line each; renewed every two seconds."""
VIEW_NAME = "run/view"
"""In the state folder: a file for each task of a caller that cannot reach the socket, with what it would be answered."""
PROJECT_DROP = ".clawlog"
"""The drop at the root of a project."""
DEFAULT_BASE_URL = "http://localhost:8000"
_DIST_INFO = "clawlog_status_sync-"


_SHARED = ("/tmp", "/var/tmp")  # noqa: S108 - root's, although a user namespace may show another owner


class Unfit(Exception):  # noqa: N818 - names what is the case
    """A folder cannot be used; the text says which, why, and what to do."""


def state_dir(env: "Mapping[str, str]") -> str:
    """The state folder's path; it need not exist yet.

    Raises:
        Unfit: The user has no home folder, and nothing names another.
    """
    if path := env.get("CLAWLOG_STATE_DIR"):
        return path
    if path := env.get("STATE_DIRECTORY"):
        return path.split(":", 1)[0]
    # Of another user, as after sudo -E, it would be filled with files that its owner cannot remove.
    if (path := env.get("XDG_STATE_HOME", "")).startswith("/") and (_is_own_folder(path) or not os.path.lexists(path)):
        return f"{path}/clawlog"
    return f"{home(env)}/.local/state/clawlog"


def socket_address(env: "Mapping[str, str]") -> str:
    """Where to reach the daemon: ``zmq:ENDPOINT``, or the path of its Unix socket without a prefix.

    Raises:
        Unfit: As ``state_dir``.
    """
    if address := env.get("CLAWLOG_SOCKET"):
        return address.removeprefix("unix:")
    if not env.get("CLAWLOG_STATE_DIR"):
        if (path := env.get("XDG_RUNTIME_DIR", "")).startswith("/") and _is_own_folder(path):
            return f"{path}/clawlog/{SOCKET_NAME}"
        if os.access(SYSTEM_SOCKET_DIR, os.X_OK) and _serves(f"{SYSTEM_SOCKET_DIR}/{SOCKET_NAME}"):
            return f"{SYSTEM_SOCKET_DIR}/{SOCKET_NAME}"
    return f"{state_dir(env)}/run/{SOCKET_NAME}"


def drop_key(state: str) -> str:
    """The name that a state folder's calls have in each drop: two state folders mean two daemons, also there."""
    from zlib import crc32  # noqa: PLC0415 - in sandboxes alone

    return f"{crc32(os.fsencode(os.path.abspath(state))):08x}"


def project_drop(state: str) -> str:
    """Where in a project the drop of a state folder's daemon is."""
    return f"{PROJECT_DROP}/{drop_key(state)}"


def drop_places(env: "Mapping[str, str]", key: str) -> list[str]:
    """The folders outside of projects through which calls may come out of a sandbox, in the order in which they are tried.

    Args:
        env: The environment variables.
        key: What ``drop_key`` says of the state folder.
    """
    uid, found = os.geteuid(), []
    if named := env.get("CLAWLOG_DROP"):
        found.append(os.path.abspath(named))
    if (temporary := env.get("TMPDIR", "").rstrip("/")).startswith("/"):
        found.append(f"{temporary}/clawlog-{uid}/{key}")
    found.append(f"/tmp/clawlog-{uid}/{key}")  # noqa: S108 - whose it is, is checked
    return found


def around_drop(path: str) -> str:
    """The folder in which a drop is: it is there whether or not there is a drop yet."""
    parent = os.path.dirname(path)
    is_ours = os.path.basename(parent) in (f"clawlog-{os.geteuid()}", PROJECT_DROP)
    return os.path.dirname(parent) if is_ours else parent


def drop_mark(path: str) -> str:
    """What tells a drop from another of the same path, by the folder around it: not all programs see the same /tmp.

    Returns:
        A word without spaces; ``-`` where it cannot be told.
    """
    try:
        found = os.stat(os.path.dirname(path))
    except OSError:
        return "-"
    return f"{found.st_dev}:{found.st_ino}"


def check_drop(path: str) -> None:
    """Checks that nobody else could take away or replace a drop, which need not be there yet.

    Raises:
        OSError: What should be around it is not there.
        Unfit: Somebody else could.
    """
    parent, around = os.path.dirname(path), around_drop(path)
    check_parent(around)
    if parent == around:
        return
    found = os.lstat(parent)
    if S_ISLNK(found.st_mode):
        raise Unfit(f"{parent} is a symbolic link")
    if found.st_uid != os.geteuid():
        raise Unfit(f"{parent} belongs to user {found.st_uid}")
    if not S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise Unfit(f"{parent}: has to be a folder that nobody else may enter (chmod 700)")


def project_root(path: str) -> "str | None":
    """The nearest folder, from this one up, that holds a repository; None where none does."""
    for _ in range(64):
        if os.path.lexists(f"{path}/.git"):
            return path
        path, before = os.path.dirname(path), path
        if path == before:
            break
    return None


def machine_id() -> str:
    """What tells this machine from others, also after its next start; its name where the system has no such number."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                if text := file.read(64).strip():
                    return text
        except OSError:
            continue
    return os.uname().nodename


def home(env: "Mapping[str, str]") -> str:
    """The user's home folder: what ``HOME`` names unless that is somebody else's, else what the system knows of the user.

    Raises:
        Unfit: Neither names one.
    """
    named = env.get("HOME", "")
    if named.startswith("/") and (_is_own_folder(named) or not os.path.lexists(named)):
        return named
    import pwd  # noqa: PLC0415 - hardly ever needed, and a script's start pays for it

    try:
        known = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        known = ""
    if known and (_is_own_folder(known) or not named):
        return known
    if not named:
        raise Unfit(
            f"user {os.geteuid()} has no home folder, and HOME names none; set CLAWLOG_STATE_DIR to a folder of its own"
        )
    return named


def config_dir(env: "Mapping[str, str]") -> str:
    """The folder of the user's settings: ``XDG_CONFIG_HOME`` unless that is somebody else's, else ``~/.config``.

    Raises:
        Unfit: As ``home``.
    """
    # Of another user, as after sudo -E, it would say what this one's daemon does.
    if (path := env.get("XDG_CONFIG_HOME", "")).startswith("/") and (_is_own_folder(path) or not os.path.lexists(path)):
        return path
    return f"{home(env)}/.config"


def data_dir(env: "Mapping[str, str]") -> str:
    """The folder of the user's data: ``XDG_DATA_HOME`` unless that is somebody else's, else ``~/.local/share``.

    Raises:
        Unfit: As ``home``.
    """
    if (path := env.get("XDG_DATA_HOME", "")).startswith("/") and (_is_own_folder(path) or not os.path.lexists(path)):
        return path
    return f"{home(env)}/.local/share"


def config_file(env: "Mapping[str, str]") -> "str | None":
    """The settings' file: the one that ``CLAWLOG_CONFIG`` names, else the first of the usual ones that is there.

    One that is there and cannot be read (a broken link, a folder) is a mistake to be told, so it is not passed over.
    """
    if named := env.get("CLAWLOG_CONFIG"):
        return named
    try:
        own = f"{config_dir(env)}/clawlog/clawlog.toml"
        os.lstat(own)
    except (FileNotFoundError, NotADirectoryError, Unfit):  # a user without a home has no settings in it
        return SYSTEM_CONFIG if os.path.lexists(SYSTEM_CONFIG) else None
    except OSError:  # a folder that cannot be entered
        return own
    return own


def read_file(path: str, max_bytes: int = 1 << 20) -> bytes:
    """Reads a file that a setting names. A pipe in its place would make its reader wait for ever, a device never end.

    Raises:
        OSError: It cannot be read, is none, or is larger than fits.
    """
    from errno import EFBIG, EINVAL, EISDIR  # noqa: PLC0415 - no script reads settings

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        if S_ISDIR(found.st_mode):
            raise IsADirectoryError(EISDIR, "Is a directory", path)
        if not S_ISREG(found.st_mode) and path != os.devnull:
            raise OSError(EINVAL, "It is a pipe, a socket or a device, and has to be a file", path)
        content = b""
        while chunk := os.read(descriptor, max_bytes + 1 - len(content)):
            content += chunk
            if len(content) > max_bytes:
                raise OSError(EFBIG, f"It holds more than {max_bytes} bytes", path)
        return content
    finally:
        os.close(descriptor)


def private_folder(path: str) -> None:
    """Makes a folder that only its owner may enter, or checks that it is one: the same for the daemon and for its clients.

    Raises:
        Unfit: It cannot be made, is a symbolic link or no folder, or belongs to somebody else.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
        if S_ISLNK(found.st_mode):
            raise Unfit(f"{path} is a symbolic link; name the folder itself")
        if found.st_uid != os.geteuid():
            raise Unfit(
                f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}, as whom this runs; choose another folder"
            )
        if found.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise Unfit(
            f"{path}: cannot be made: {error.strerror}; choose another with CLAWLOG_STATE_DIR or --state-dir"
        ) from error


def check_parent(path: str) -> None:
    """Checks that nobody else could take away or replace what lies in a folder.

    Raises:
        OSError: It is not there.
        Unfit: Somebody else could.
    """
    found, uid = os.stat(path), os.geteuid()
    if not S_ISDIR(found.st_mode):
        raise NotADirectoryError(20, "Not a directory", path)
    if found.st_uid not in (uid, 0) and path not in _SHARED:
        raise Unfit(f"{path} belongs to user {found.st_uid}")
    # A group that has its user's own number is that user's alone, by the convention of most distributions.
    others = 0o002 if found.st_gid == found.st_uid == uid else 0o022
    if found.st_mode & others and not found.st_mode & S_ISVTX:
        raise Unfit(f"{path}: others may write there")


def open_own_file(path: str, flags: int) -> int:
    """Opens a file of one's own, which is made with mode 0600 where it is missing; never through a link.

    Raises:
        OSError: It cannot be opened.
        Unfit: It is no file, or somebody else's.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    found = os.fstat(descriptor)
    if not S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(descriptor)
        raise Unfit(f"{path} is not a file of user {os.geteuid()}, as whom this runs; remove it, or choose another folder")
    return descriptor


def _is_own_folder(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _serves(path: str) -> bool:
    return os.access(path, os.W_OK)


def installed_version() -> str:
    """The project's version, by the name of its ``.dist-info`` folder: to read what is in it would double a command's start."""
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.startswith(_DIST_INFO) and name.endswith(".dist-info"):
                return name.removeprefix(_DIST_INFO).removesuffix(".dist-info")
    from importlib.metadata import version  # noqa: PLC0415 - it knows of other ways to be installed, and is slow

    return version("clawlog-status-sync")

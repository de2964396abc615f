"""Where the daemon's socket, state and log are: client and daemon find each other by these rules, so they are written once.

Order for the state: ``CLAWLOG_STATE_DIR``, systemd's ``STATE_DIRECTORY``, ``$XDG_STATE_HOME/clawlog``,
``~/.local/state/clawlog``.
Order for the socket: ``CLAWLOG_SOCKET``, ``$XDG_RUNTIME_DIR/clawlog``, ``/run/clawlog`` where that is ours to use, the state's
``run`` folder. A state folder chosen by ``CLAWLOG_STATE_DIR`` holds its socket, too: two state folders mean two daemons.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # collections would cost every script call a tenth of its time
    from collections.abc import Mapping

SYSTEM_SOCKET_DIR = "/run/clawlog"
SOCKET_NAME = "clawlogd.sock"
SPOOL_NAME = "spool"
DEFAULT_BASE_URL = "http://localhost:8000"


def state_dir(env: "Mapping[str, str]") -> str:
    """The state folder's path; it need not exist yet."""
    if path := env.get("CLAWLOG_STATE_DIR"):
        return path
    if path := env.get("STATE_DIRECTORY"):
        return path.split(":", 1)[0]
    if path := env.get("XDG_STATE_HOME"):
        return f"{path}/clawlog"
    return f"{home(env)}/.local/state/clawlog"


def socket_address(env: "Mapping[str, str]") -> str:
    """Where to reach the daemon: ``zmq:ENDPOINT``, or the path of its Unix socket without a prefix."""
    if address := env.get("CLAWLOG_SOCKET"):
        return address.removeprefix("unix:")
    if not env.get("CLAWLOG_STATE_DIR"):
        if path := env.get("XDG_RUNTIME_DIR"):
            return f"{path}/clawlog/{SOCKET_NAME}"
        if os.access(SYSTEM_SOCKET_DIR, os.X_OK) and _serves(f"{SYSTEM_SOCKET_DIR}/{SOCKET_NAME}"):
            return f"{SYSTEM_SOCKET_DIR}/{SOCKET_NAME}"
    return f"{state_dir(env)}/run/{SOCKET_NAME}"


def home(env: "Mapping[str, str]") -> str:
    """The user's home folder."""
    return env.get("HOME") or os.path.expanduser("~")


def _serves(path: str) -> bool:
    return os.access(path, os.W_OK)

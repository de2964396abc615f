"""The way into a sandbox: what a check for a stop would be answered, as a file that the daemon keeps for a task.

Its age is the age of what it says. So the same rule holds as for the verb ``interrupt.check``: a stop that is requested is said
whatever its age, and that there is none only from knowledge that is fresh enough.

A script in a sandbox loads this module at every check, so it imports next to nothing.
"""

import time

from clawlog import drop, locations
from clawlog.protocol.vocabulary import DEFAULT_MAX_AGE_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 2.5
"""How long a view is waited for that is not there yet, or too old: the daemon asks the backend every two seconds."""

_MAX_BYTES = 64 * 1024
_PAUSE_S = 0.02
_BEGIN, _END = b'{"state":"', b'"age_s":null}'
_NO_STOP = b'"interrupt_requested":false,"interrupt_id":null,"mode":null,"reason":null,"requested_at":null'
_UNKNOWN = b'{"state":"unknown",' + _NO_STOP + b',"age_s":%s}'
_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")


class View:
    """What a view says.

    Attributes:
        state: The stop's state: a value of ``INTERRUPT_STATES``.
        answer: The result of ``interrupt.check``, as JSON.
    """

    __slots__ = ("answer", "state")

    def __init__(self, state: str, answer: bytes) -> None:
        self.state = state
        self.answer = answer


def look(task_id: str, env: "Mapping[str, str]", max_age_s: float = DEFAULT_MAX_AGE_S) -> View:
    """Returns what is known of a task's stop; state ``unknown`` where that is nothing, or too old."""
    found = _read(task_id, env)
    if found is None:
        return View("unknown", _UNKNOWN % b"null")
    body, age_s = found
    state = body[len(_BEGIN) : body.index(b'"', len(_BEGIN))].decode("ascii", "replace")
    age = b"%.3f" % age_s
    if state == "requested" or (state in ("none", "acknowledged") and age_s <= max_age_s):
        return View(state, body[: -len(b"null}")] + age + b"}")
    return View("unknown", _UNKNOWN % age)


def wait(task_id: str, env: "Mapping[str, str]", max_age_s: float, patience_s: float = PATIENCE_S) -> View:
    """Returns what is known as soon as it is, or what is known at the end of the patience."""
    deadline = time.monotonic() + patience_s
    while (view := look(task_id, env, max_age_s)).state == "unknown" and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return view


def _read(task_id: str, env: "Mapping[str, str]") -> "tuple[bytes, float] | None":
    """Returns a view's content, and its age in seconds; None where there is none that is sound."""
    if task_id in (".", "..") or not task_id or not _ID_CHARACTERS.issuperset(task_id):
        return None
    try:
        path = f"{locations.state_dir(env)}/{locations.VIEW_NAME}/{task_id}"
        content, changed_s = drop.read_own(path, _MAX_BYTES)
    except (OSError, locations.Unfit):
        return None
    body, age_s = content.rstrip(b"\n"), time.time() - changed_s
    if not body.startswith(_BEGIN) or not body.endswith(_END) or age_s < -drop.ALIVE_S:
        return None
    return body, max(0.0, age_s)

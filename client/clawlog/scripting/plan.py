"""Which requests a command line makes: flags' values in, requests out. Both ways to read a command line end here.

Loaded at every call of a script, so it imports next to nothing, and knows nothing of sockets or of printing.
"""

from clawlog.protocol.ids import new_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost a script a third of its time
    from collections.abc import Mapping
    from typing import Any

    Values = Mapping[str, Any]


class UsageError(Exception):
    """The flags do not go together; the text says what was expected."""


class Request:
    """One request of a command line.

    Attributes:
        action: Under which name its outcome is printed.
        method: The verb.
        params: Its parameters: text, numbers, lists of text, and mappings of text.
        may_take_s: How long the daemon may rightly take over it.
    """

    __slots__ = ("action", "may_take_s", "method", "params")

    def __init__(self, action: str, method: str, params: "dict[str, Any]", may_take_s: float = 0.0) -> None:
        self.action = action
        self.method = method
        self.params = params
        self.may_take_s = may_take_s


_GOES_WITH = (
    ("step_id", "step_status"),
    ("step_status", "step_id"),
    ("step_summary", "step_id"),
    ("heartbeat_summary", "heartbeat"),
    ("lease", "heartbeat"),
    ("ack_summary", "ack_interrupt"),
    ("task_summary", "task_status"),
    ("max_age", "check_interrupt"),
)


def create_task(values: "Values", env: "Mapping[str, str]") -> list[Request]:
    """The request of ``create_task.py``.

    Raises:
        UsageError: The title is missing.
    """
    if "title" not in values:
        raise UsageError("--title is missing: say what the task is")
    params = {"title": values["title"], "steps": values.get("step", []), "task_id": values.get("task_id") or new_uuid()}
    params["event_id"] = new_uuid()
    if base_url := values.get("base_url") or env.get("CLAWLOG_BASE_URL"):
        params["base_url"] = base_url
    for name, param in (("summary", "summary"), ("watch_pid", "watch_pid"), ("lease", "lease_s"), ("metadata", "metadata")):
        if name in values:
            params[param] = values[name]
    return [Request("task", "task.create", params)]


def update_status(values: "Values", env: "Mapping[str, str]") -> list[Request]:
    """The requests of ``update_status.py``, in the order in which they are to be done.

    Raises:
        UsageError: A flag lacks the one that it belongs to, or nothing is asked for.
    """
    for name, needed in _GOES_WITH:
        if name in values and needed not in values:
            raise UsageError(f"{_flag(name)} needs {_flag(needed)} as well")
    task_id = task_id_of(values, env)
    requests = []
    if "step_id" in values:
        params = {"task_id": task_id, "step": values["step_id"], "status": values["step_status"]}
        requests.append(_event("step", "step.update", params, values.get("step_summary")))
    if "heartbeat" in values:
        params = {"task_id": task_id}
        if "heartbeat_summary" in values:
            params["summary"] = values["heartbeat_summary"]
        if "lease" in values:
            params["lease_s"] = values["lease"]
        requests.append(Request("heartbeat", "task.heartbeat", params))
    if "task_status" in values:
        params = {"task_id": task_id, "status": values["task_status"]}
        requests.append(_event("task", "task.update", params, values.get("task_summary")))
    if "ack_interrupt" in values:
        requests.append(_event("ack", "interrupt.ack", {"task_id": task_id}, values.get("ack_summary")))
    if "wait" in values:  # before the check, so that a stop asked for meanwhile is seen
        wait_s = values["wait"]
        requests.append(Request("wait", "daemon.flush", {"task_id": task_id, "timeout_s": wait_s}, wait_s))
    if "check_interrupt" in values:
        params = {"task_id": task_id}
        if "max_age" in values:
            params["max_age_s"] = values["max_age"]
        requests.append(Request("interrupt", "interrupt.check", params))
    if not requests:
        raise UsageError("nothing to do: give --check-interrupt, --step-id, --heartbeat, --task-status, --ack-interrupt or --wait")
    return requests


def task_id_of(values: "Values", env: "Mapping[str, str]") -> str:
    """The task that a command line is about.

    Raises:
        UsageError: It names none.
    """
    task_id = values.get("task_id") or env.get("CLAWLOG_TASK_ID")
    if not task_id:
        raise UsageError("--task-id is missing, and CLAWLOG_TASK_ID is not set: give the id that create_task.py printed")
    return str(task_id)


def _event(action: str, method: str, params: "dict[str, Any]", summary: "str | None") -> Request:
    params["event_id"] = new_uuid()
    if summary is not None:
        params["summary"] = summary
    return Request(action, method, params)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

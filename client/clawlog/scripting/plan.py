"""Which requests a command line makes: flags' values in, requests out. The fast and the full path both use it.

Loaded at every call of a script, so it imports next to nothing, and knows neither sockets nor printing.
"""

from clawlog.protocol.ids import new_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost a script a third of its time
    from collections.abc import Mapping
    from typing import Any

    Values = Mapping[str, Any]


class UsageError(Exception):
    """The flags do not fit together; the text says what was expected."""


class PlannedRequest:
    """One request of a command line.

    Attributes:
        action: The name under which its outcome is printed.
        method: The verb.
        params: Its parameters: text, numbers, lists of text, and mappings of text.
        may_take_s: How long the daemon may take over it, beyond a call's own timeout.
    """

    __slots__ = ("action", "may_take_s", "method", "params")

    def __init__(self, action: str, method: str, params: "dict[str, Any]", may_take_s: float = 0.0) -> None:
        self.action = action
        self.method = method
        self.params = params
        self.may_take_s = may_take_s


ACTIONS = (
    # flag; printed as; verb; further flags and their parameters; whether it is an event
    ("step_id", "step", "step.update", (("step_id", "step"), ("step_status", "status"), ("step_summary", "summary")), True),
    ("heartbeat", "heartbeat", "task.heartbeat", (("heartbeat_summary", "summary"), ("lease", "lease_s")), False),
    ("link", "links", "task.link", (), True),
    ("task_status", "task", "task.update", (("task_status", "status"), ("task_summary", "summary")), True),
    ("ack_interrupt", "ack", "interrupt.ack", (("ack_summary", "summary"),), True),
    # The wait comes before the check, so that a stop requested meanwhile is seen.
    ("wait", "wait", "daemon.flush", (("wait", "timeout_s"),), False),
    ("check_interrupt", "interrupt", "interrupt.check", (("max_age", "max_age_s"),), False),
)
"""In the order of their execution, after new steps, which are what the others may be about."""

LISTED = ("new_steps", "links")
"""Actions of which one call may have several, so that their outcomes are printed as a list."""

_MORE_ACTIONS = ("add_step", "progress", "waiting_for")


def create_task(values: "Values", env: "Mapping[str, str]") -> list[PlannedRequest]:
    """The request of ``create_task.py``.

    Raises:
        UsageError: The title is missing.
    """
    from clawlog import origin  # noqa: PLC0415 - every other call does without it

    if "title" not in values:
        raise UsageError("--title is missing: say what the task does")
    task_id = values.get("task_id") or new_uuid()
    params = {"title": values["title"], "steps": values.get("step", []), "task_id": task_id, "event_id": new_uuid()}
    if base_url := values.get("base_url") or env.get("CLAWLOG_BASE_URL"):
        params["base_url"] = base_url
    for name, param in (("summary", "summary"), ("watch_pid", "watch_pid"), ("lease", "lease_s")):
        if name in values:
            params[param] = values[name]
    if metadata := origin.metadata(values.get("metadata", {}), env):
        params["metadata"] = metadata
    if cwd := origin.folder():
        params["cwd"] = cwd
    if "parent" in values:
        params["parent_task_id"] = values["parent"]
    elif parent := origin.parent(task_id, env):
        params["parent_task_id"] = parent
        params["parent_implied"] = True
    return [PlannedRequest("task", "task.create", params)]


def update_status(values: "Values", env: "Mapping[str, str]") -> list[PlannedRequest]:
    """The requests of ``update_status.py``, in the order of their execution.

    Raises:
        UsageError: A flag lacks the one that it belongs to, contradicts another, or no action is given.
    """
    task_id = task_id_of(values, env)
    if "step_id" in values and "step_status" not in values:
        raise UsageError("--step-id needs --step-status as well")
    if "waiting_for" in values:
        values = _waiting(values)
    if "progress" in values and "step_id" not in values:
        values = {**values, "heartbeat": True}
    requests = _new_steps(values, task_id)
    for asked_by, action, method, flags, is_event in ACTIONS:
        given = [(name, param) for name, param in flags if name in values]
        if asked_by not in values:
            if given:
                raise UsageError(f"{_flag(given[0][0])} needs {_flag(asked_by)} as well")
            continue
        for each in values["link"] if action == "links" else (None,):
            params = {"task_id": task_id, **{param: values[name] for name, param in given}}
            if each is not None:
                params.update(_link(each))
            if "progress" in values and action == ("step" if "step_id" in values else "heartbeat"):
                params["progress"] = values["progress"]
            if is_event:
                params["event_id"] = new_uuid()
            requests.append(PlannedRequest(action, method, params, values.get("wait", 0.0) if action == "wait" else 0.0))
    if not requests:
        choices = ", ".join(map(_flag, (*[asked_by for asked_by, *_ in ACTIONS], *_MORE_ACTIONS)))
        raise UsageError(f"nothing to do: give at least one of {choices}")
    return requests


def _new_steps(values: "Values", task_id: str) -> list[PlannedRequest]:
    """The requests for new steps: the first goes where ``--after`` says, each further one behind the one before it."""
    if "add_step" not in values:
        if "after" in values:
            raise UsageError("--after needs --add-step as well")
        return []
    requests = []
    after = values.get("after")
    for title in values["add_step"]:
        params = {"task_id": task_id, "title": title, "step_id": new_uuid(), "event_id": new_uuid()}
        if after is not None:
            params["after"] = after
            after = params["step_id"]
        requests.append(PlannedRequest("new_steps", "step.add", params))
    return requests


def _waiting(values: "Values") -> "Values":
    """The flags with ``--waiting-for`` as what it stands for."""
    if values.get("task_status", "waiting") != "waiting" or "task_summary" in values:
        raise UsageError("--waiting-for is a status of the task by itself: give it without --task-status and --task-summary")
    return {**values, "task_status": "waiting", "task_summary": values["waiting_for"]}


def _link(text: str) -> "dict[str, str]":
    """Reads ``[NAME=]URL``. An address may hold ``=``, too."""
    name, equals, url = text.partition("=")
    if not equals or text[:8].lower().startswith(("http://", "https://")):
        return {"url": text}
    return {"url": url, "name": name}


def task_id_of(values: "Values", env: "Mapping[str, str]") -> str:
    """Returns the id of the task that a command line is about.

    Raises:
        UsageError: It names none.
    """
    if values.get("task_id") == "":
        raise UsageError("--task-id is empty: an earlier create_task.py failed, or its id was not kept")
    task_id = values.get("task_id") or env.get("CLAWLOG_TASK_ID")
    if not task_id:
        from clawlog import origin  # noqa: PLC0415 - only here

        task_id = origin.own_task(env)
    if not task_id:
        raise UsageError("--task-id is missing, and CLAWLOG_TASK_ID is not set: give the id that create_task.py printed")
    return str(task_id)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def encode(value: "Any") -> str:
    """Returns a request's value as JSON, as ``protocol.jsonrpc.dumps`` writes it."""
    if isinstance(value, str):
        if value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'
        from _json import encode_basestring  # noqa: PLC0415 - loading it costs a fiftieth of Python's start

        return encode_basestring(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode(name)}:{encode(each)}" for name, each in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([encode(each) for each in value]) + "]"
    if value is True:
        return "true"
    if value is None:
        return "null"
    return repr(value)  # an int or a finite float

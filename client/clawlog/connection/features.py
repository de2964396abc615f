"""What an older daemon lacks, and the nearest words that it has: programs and daemons are upgraded apart.

A client asks as this version does. A refusal that shows a lack is remembered, the same call goes again in the words that are
there, with the same ``event_id``, and so do those after it. Nothing is asked beforehand, so a daemon of today costs nothing.
No I/O is done here; both clients, and with them the scripts, use this through their sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clawlog.connection.call import Call
from clawlog.connection.results import JsonObject
from clawlog.protocol import jsonrpc
from clawlog.protocol.errors import INVALID_PARAMS, METHOD_NOT_FOUND, TASK_FINISHED, RpcError
from clawlog.protocol.vocabulary import LATER_PARAMS, WAITING

_WITHOUT = {
    "parent_task_id": "a subtask stands for itself",
    "progress": "it stands before the summary",
    WAITING: "a task that waits is reported as running, with the question as its summary",
    "task.plan": "a changed plan is told in one line",
    "step.add": "a new step is told in one line",
    "task.link": "a link is told in one line",
    "task.annotate": "changed metadata is told in one line",
}
"""What becomes of each, as a person is told; the working folder is not worth a word."""

_ALL_PARAMS = "expected only "
"""How the hint begins to a parameter that a daemon does not know; it names those that it does."""

_warned: set[str] = set()
"""What this process has warned of already."""


def log(text: str) -> None:
    """Writes a warning to the logger ``clawlog``."""
    import logging  # noqa: PLC0415 - a script that has nothing to warn of does without it

    logging.getLogger("clawlog").warning("%s", text)


class Features:
    """What the daemon of one client lacks, as far as it has shown.

    Args:
        warn: Called once per process and feature, with one line for a person.
    """

    def __init__(self, warn: Callable[[str], None] = log) -> None:
        self._warn = warn
        self._missing: set[str] = set()

    def forget(self) -> None:
        """Expects everything again: after a lost connection another daemon may be there."""
        self._missing.clear()

    def in_known_words(self, call: Call[Any]) -> Call[Any]:
        """Returns a call as this daemon understands it: the same, as long as nothing is known to be missing."""
        if not self._missing:
            return call
        if call.method in self._missing:
            return _as_a_line(call)
        params = dict(call.params)
        if WAITING in self._missing and call.method == "task.update" and params.get("status") == WAITING:
            params["status"] = "running"
        for name in LATER_PARAMS.get(call.method, ()):
            if name in self._missing and (value := params.pop(name, None)) is not None and name == "progress":
                params["summary"] = " ".join(filter(None, [_counted(value), params.get("summary")]))
        return Call(call.method, params, call.read, call.may_take_s)

    def learn(self, call: Call[Any], response: jsonrpc.Response) -> bool:
        """Notes what a refusal shows to be missing; returns whether the call has other words, in which it is to be repeated.

        Args:
            call: The call as it was sent.
            response: Its answer.
        """
        names = () if response.error is None else _lacked(call, response.error)
        for name in names:
            self._missing.add(name)
            if name in _WITHOUT and name not in _warned:
                _warned.add(name)  # first: what is called by the warning may call, too
                self._warn(f"clawlogd is older than this program and has no {name!r}: {_WITHOUT[name]}; upgrade and restart it")
        return bool(names)


def _lacked(call: Call[Any], error: RpcError) -> Sequence[str]:
    """What a refusal shows to be missing, of that which the call has other words for."""
    if error.code == METHOD_NOT_FOUND:
        return [call.method] if call.method in _WITHOUT else []
    if error.code != INVALID_PARAMS:
        return []
    field, hint = error.data.get("field"), str(error.data.get("hint", ""))
    given = [name for name in LATER_PARAMS.get(call.method, ()) if name in call.params]
    if field in given and hint.startswith(_ALL_PARAMS):
        known = hint.removeprefix(_ALL_PARAMS).split(", ")
        return [name for name in given if name not in known]
    refuses_status = field == "status" and call.method == "task.update" and call.params.get("status") == WAITING
    return [WAITING] if refuses_status and WAITING not in hint else []


def _as_a_line(call: Call[Any]) -> Call[Any]:
    """Tells an event in one line, as a heartbeat: any other word would change the task's status, or reopen it."""
    params = call.params
    result: dict[str, Any] = {"accepted": True, "event_id": params.get("event_id"), "pending": None}
    if call.method == "task.plan":
        result["steps"] = []
    elif call.method == "step.add":
        result["step"] = None

    def read(beat: JsonObject) -> Any:
        truncated = {"summary_truncated": True} if beat.get("summary_truncated") else {}
        return call.read({**result, **truncated})

    # A task that has ended takes no line; that it was told of so is no failure of the call.
    heartbeat = {"task_id": params["task_id"], "summary": _line(call.method, params)}
    return Call("task.heartbeat", heartbeat, read, instead={TASK_FINISHED: {}})


def _line(method: str, params: Mapping[str, Any]) -> str:
    if method == "task.plan":
        return "plan: " + ", ".join(str(each["title"]) for each in params["steps"])
    if method == "step.add":
        return f"new step: {params['title']}"
    if method == "task.link":
        return f"{params['name']}: {params['url']}" if "name" in params else str(params["url"])
    return ", ".join(f"{key}: {'removed' if value is None else value}" for key, value in params["metadata"].items())


def _counted(progress: Mapping[str, Any]) -> str:
    """A progress in words, such as ``318/2480 files``."""
    total = f"/{progress['total']}" if "total" in progress else ""
    return f"{progress['done']}{total} {progress.get('unit', '')}".rstrip()

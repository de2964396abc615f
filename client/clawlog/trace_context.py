"""Which span a new task is below, and which one is its own: the caller's ``TRACEPARENT``, and ids that follow from the task.

Read and handed on as https://opentelemetry.io/docs/specs/otel/context/env-carriers/ has it. The backend derives the same ids
(``clawlog_backend.domain.trace_ids``); a test holds the two equal. Each script call that creates a task where there is a
``TRACEPARENT`` loads this module, so it imports next to nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "traceparent"
"""The pair of a task's metadata in which its caller's span stands."""

VARIABLE = "TRACEPARENT"

_HEX = frozenset("0123456789abcdef")


def of_caller(env: "Mapping[str, str]") -> "str | None":
    """Returns the caller's ``traceparent``; None where there is none, or a malformed one: that counts as none."""
    text = env.get(VARIABLE, "")
    if len(text) < 55 or (len(text) > 55 and (text[:2] == "00" or text[55] != "-")):
        return None
    parts = text[:55].split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2] or not all(_HEX.issuperset(part) for part in parts):
        return None
    version, trace, span, flags = parts
    if version == "ff" or not trace.strip("0") or not span.strip("0"):
        return None
    return f"00-{trace}-{span}-{flags}"


def of_task(task_id: str) -> str:
    """Returns the ``traceparent`` of a task's own span, where it is a trace by itself."""
    return f"00-{_derived('trace', task_id, '1')[:32]}-{_derived('span', task_id, '1')[:16]}-01"


def below(task_id: str, caller: "str | None") -> str:
    """Returns the ``traceparent`` of a task's own span, which is below its caller's where there is one."""
    if caller is None:
        return of_task(task_id)
    _, trace, _, flags = caller.split("-")
    return f"00-{trace}-{_derived('span', task_id, '1')[:16]}-{flags}"


def _derived(*parts: str) -> str:
    from hashlib import sha256  # noqa: PLC0415 - only where a span's id is wanted

    return sha256("\0".join(("clawlog", *parts)).encode("utf-8", "surrogatepass")).hexdigest()

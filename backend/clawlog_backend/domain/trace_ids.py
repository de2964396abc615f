"""Where a task stands among traces: ids that follow from the task alone, and the caller's ``traceparent``. Pure.

An id is derived and never drawn, so that a span that is sent again is the same span, and so that ``clawlog run`` knows its
task's span before the backend has heard of the task. The client has the same rules (``clawlog.trace_context``), which the
backend may not import: a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

TRACEPARENT = "traceparent"
"""The pair of a task's metadata that names its caller's span, as https://www.w3.org/TR/trace-context/ writes it."""

_HEX = frozenset("0123456789abcdef")
_LENGTHS = (2, 32, 16, 2)  # version, trace, span, flags
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class SpanContext:
    """One span among all traces.

    Attributes:
        trace_id: 16 bytes.
        span_id: 8 bytes.
        sampled: Whether it is recorded; what happens within one that is not, is not either.
    """

    trace_id: bytes
    span_id: bytes
    sampled: bool = True


def trace_id(task_id: str, run: int) -> bytes:
    """The trace of a task that is part of no other.

    Args:
        task_id: The task.
        run: 1 from its creation on, one more each time it was reopened.
    """
    return _derived("trace", task_id, str(run))[:16]


def span_id(task_id: str, run: int, *part: str) -> bytes:
    """The span of a task's run, or of a part of it."""
    return _derived("span", task_id, str(run), *part)[:8]


def own_context(task_id: str, run: int = 1) -> SpanContext:
    """The span of a task's run that is part of no other trace."""
    return SpanContext(trace_id(task_id, run), span_id(task_id, run))


def parse_traceparent(text: str | None) -> SpanContext | None:
    """The span that a ``traceparent`` names; ``None`` where it is none, or malformed."""
    if text is None or len(text) < 55 or (len(text) > 55 and (text[:2] == "00" or text[55] != "-")):
        return None
    parts = text[:55].split("-")
    if tuple(map(len, parts)) != _LENGTHS or not all(_HEX.issuperset(part) for part in parts):
        return None
    version, trace, span, flags = parts
    if version == "ff" or not trace.strip("0") or not span.strip("0"):
        return None
    return SpanContext(bytes.fromhex(trace), bytes.fromhex(span), bool(int(flags, 16) & _SAMPLED))


def _derived(*parts: str) -> bytes:
    return sha256("\0".join(("clawlog", *parts)).encode("utf-8", "surrogatepass")).digest()

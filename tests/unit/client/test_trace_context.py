"""The caller's span that a new task is below, and the task's own: read as everybody reads it, derived as at the backend."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from clawlog import origin, trace_context
from clawlog.cli.commands.run import trace
from clawlog.scripting import fast, plan
from clawlog_backend.domain import trace_ids

MARK = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MALFORMED = (
    "", "00", MARK[:-1], MARK + "0", MARK + "-x", MARK.upper(), "ff" + MARK[2:], MARK.replace("-", "_"),
    "00-" + "0" * 32 + MARK[35:], MARK[:36] + "0" * 16 + "-01", MARK[:-2] + "0g", " " + MARK, "0٣" + MARK[2:],
)  # fmt: skip


def as_others_read(text: str) -> tuple[int, int, int] | None:
    context = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text})).get_span_context()
    return (context.trace_id, context.span_id, int(context.trace_flags)) if context.is_valid else None


def as_read_here(text: str | None) -> tuple[int, int, int] | None:
    return None if text is None else (int(text[3:35], 16), int(text[36:52], 16), int(text[53:], 16))


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_one_is_none(text: str) -> None:
    assert trace_context.of_caller({"TRACEPARENT": text}) is None
    assert trace_ids.parse_traceparent(text) is None
    assert origin.metadata({"a": "b"}, {"TRACEPARENT": text}) == {"a": "b"}


@given(st.from_regex(re.compile(r"(0[0-3f]|ff|cc)-[0-2a]{32}-[01f]{16}-0[013](-x)?", re.ASCII), fullmatch=True))
@example(MARK)
@example("cc" + MARK[2:] + "-what-comes")
def test_it_is_read_as_the_library_of_opentelemetry_reads_it(text: str) -> None:
    caller = trace_context.of_caller({"TRACEPARENT": text})
    assert as_read_here(caller) == as_others_read(text)
    context = trace_ids.parse_traceparent(text)
    assert (None if context is None else (context.trace_id.hex(), context.span_id.hex())) == (
        None if caller is None else (caller[3:35], caller[36:52])
    )


@pytest.mark.parametrize("task_id", ["t", "0192f0c4-5b1e-7c3a-9a53-5b1b6f1d7c11", "x" * 64])
def test_a_tasks_own_span_is_the_one_that_the_backend_exports(task_id: str) -> None:
    own = trace_ids.own_context(task_id)
    assert trace_context.of_task(task_id) == f"00-{own.trace_id.hex()}-{own.span_id.hex()}-01"
    unrecorded = MARK[:-1] + "0"
    assert trace_context.below(task_id, unrecorded) == f"00-{MARK[3:35]}-{own.span_id.hex()}-00"


def test_the_callers_span_is_a_pair_of_a_new_task_while_there_is_room() -> None:
    env = {"TRACEPARENT": MARK, "CLAUDECODE": "1"}
    assert origin.metadata({}, env) == {"agent": "claude-code", "traceparent": MARK}
    assert origin.metadata({"traceparent": "mine"}, env)["traceparent"] == "mine"
    for room, expected in ((2, 20), (1, 20), (0, 20)):
        pairs = {str(n): "" for n in range(20 - room)}
        found = origin.metadata(pairs, env)
        assert len(found) == expected
        assert ("traceparent" in found) == (room == 2)


def test_what_a_command_is_told_is_what_is_reported_of_its_task() -> None:
    assert trace.caller_of("t", {"TRACEPARENT": MARK, "CLAWLOG_TASK_ID": "p"}) == MARK
    assert trace.caller_of("t", {"TRACEPARENT": "no", "CLAWLOG_TASK_ID": "p"}) == trace_context.of_task("p")
    assert trace.caller_of("t", {}) is None


def test_the_fast_path_sends_it_and_loads_nothing_dear_for_it() -> None:
    plain = fast.prepare("create_task", ["--title", "T"], {"TRACEPARENT": MARK})
    assert plain is not None
    assert plain[1][0].params["metadata"] == {"traceparent": MARK}
    (request,) = plan.create_task({"title": "T"}, {"TRACEPARENT": "malformed"})
    assert "metadata" not in request.params
    program = (
        "import sys; from clawlog.scripting import fast\n"
        f"assert fast.prepare('create_task', ['--title', 'T'], {{'TRACEPARENT': {MARK!r}}})\n"
        "print([name for name in ('hashlib', 're', 'json', 'typing', 'enum', 'collections') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
                         capture_output=True, text=True, check=True)  # fmt: skip
    assert ran.stdout == "[]\n"

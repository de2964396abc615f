"""Tasks that ended, as traces at a receiver that decodes them: their shape."""

from __future__ import annotations

from clawlog_backend.domain import trace_ids
from support.engines import BOTH_ENGINES
from support.exported import SETTLED_MS, Exporting, at, ended, reach
from support.otlp_receiver import OtlpReceiver
from support.running_backend import event

MARK = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_task_of_twenty_steps_with_two_subtasks_is_one_trace(receiver: OtlpReceiver, exporting: Exporting) -> None:
    backend, api = exporting(
        {"OTEL_SERVICE_NAME": "build farm", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}
    )
    steps = [{"step_id": f"s{n}", "title": f"Step {n}"} for n in range(1, 21)]
    pairs = {"agent": "claude-code", "agent_version": "2.1", "project": "web", "user": "mu", "cwd": "/srv", "command": "x"}
    await api.events(event("task_created", "c", "top", at(0), title="Deploy", steps=steps, metadata=pairs))
    for n in range(1, 21):
        if n in {5, 6}:  # while the parent works on it
            child = f"part-{n}"
            await api.events(
                event("task_created", child, child, at(10 * n), title=child, parent_task_id="top", steps=[{"title": "Only"}]),
                event("task_status", f"{child}-e", child, at(10 * n + 3), status="done"),
            )
        await api.events(
            event("step_status", f"b{n}", "top", at(10 * n), step_id=f"s{n}", status="running"),
            event("step_status", f"e{n}", "top", at(10 * n + 5), step_id=f"s{n}", status="failed" if n == 7 else "done",
                  summary=f"said {n}", progress={"done": n, "total": 20, "unit": "files"}),
        )  # fmt: skip
    await api.events(event("task_status", "e", "top", at(206), status="done", summary="All is up"))
    backend.clock.ahead_ms += SETTLED_MS
    spans = {each.attributes["clawlog.task.id"]: each for each in await receiver.of_tasks("top", "part-5", "part-6")}
    top = spans["top"]

    assert {each.trace_id for each in receiver.spans} == {top.trace_id}
    assert (top.parent_id, top.name, top.error) == ("", "invoke_agent claude-code", None)
    assert (top.end_ns - top.start_ns) == 206_000_000_000
    assert top.attributes == {
        "clawlog.task.id": "top", "clawlog.task.title": "Deploy", "clawlog.task.run": 1, "clawlog.task.status": "done",
        "clawlog.task.steps": 20, "clawlog.task.summary": "All is up", "clawlog.metadata.project": "web",
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "claude-code", "gen_ai.agent.version": "2.1",
        "gen_ai.provider.name": "anthropic", "gen_ai.conversation.id": "top",
    }  # fmt: skip
    children = [each for each in receiver.spans if each.parent_id == top.span_id]
    assert {spans["part-5"].span_id, spans["part-6"].span_id} < {each.span_id for each in children}
    of_steps = sorted((each for each in children if "clawlog.step.id" in each.attributes), key=lambda each: each.start_ns)
    assert [each.name for each in of_steps] == [f"clawlog.step Step {n}" for n in range(1, 21)]
    assert [each.attributes["clawlog.step.position"] for each in of_steps] == list(range(1, 21))
    assert {(each.end_ns - each.start_ns) for each in of_steps} == {5_000_000_000}
    assert [each.error for each in of_steps if each.error is not None] == ["said 7"]
    assert of_steps[4].attributes["clawlog.step.progress.done"] == 5
    assert all(top.start_ns <= each.start_ns <= each.end_ns <= top.end_ns for each in receiver.spans)
    assert spans["part-5"].name == "clawlog.task"
    assert spans["part-5"].attributes["clawlog.task.parent_id"] == "top"
    assert receiver.resources[0] == {"service.name": "build farm", "deployment.environment.name": "test"}
    assert len({each.span_id for each in receiver.spans}) == len(receiver.spans) == 23
    await reach(api, **{'traces_total{result="exported"}': 3, "traces_waiting": 0})


async def test_waits_stops_and_losses_are_events_of_the_task(receiver: OtlpReceiver, exporting: Exporting) -> None:
    backend, api = exporting()
    await api.task("t", steps=1)
    now = backend.clock().rfc3339
    await api.events(event("task_status", "w", "t", now(), status="waiting", summary="Which host?"))
    await api.events(
        event("task_status", "r", "t", now(), status="running"),
        event("step_status", "s", "t", now(), step_id="s1", status="running"),
    )
    _, stop = await api("POST", "/api/tasks/t/interrupt", {"reason": "Wrong host", "requested_by": "Mu"})
    await api.events(
        event("interrupt_seen", "i1", "t", now(), interrupt_id=stop["interrupt_id"]),
        event("interrupt_delivered", "i2", "t", now(), interrupt_id=stop["interrupt_id"]),
        event("agent_lost", "l", "t", now(), summary="the process ended"),
        event("link", "u", "t", now(), url="https://example.com/log", name="log"),
        event("agent_lost", "l2", "t", now(), summary="the process ended again"),
    )
    assert (await api("POST", "/api/tasks/t/close", {"summary": "gone", "by": "Mu"}))[0] == 200
    backend.clock.ahead_ms += SETTLED_MS
    (task,) = await receiver.of_tasks("t")
    assert [name for name, _, _ in task.events] == [
        "clawlog.waiting", "clawlog.waiting.ended", "clawlog.stop.requested", "clawlog.stop.seen", "clawlog.stop.delivered",
        "clawlog.agent.lost", "clawlog.agent.returned", "clawlog.link", "clawlog.agent.lost", "clawlog.task.closed",
    ]  # fmt: skip
    said = {name: values for name, _, values in task.events}
    assert said["clawlog.waiting"] == {"clawlog.question": "Which host?"}
    assert said["clawlog.stop.requested"]["clawlog.stop.reason"] == "Wrong host"
    assert said["clawlog.task.closed"] == {"clawlog.by": "Mu", "clawlog.summary": "gone"}
    assert (task.error, task.attributes["error.type"]) == ("gone", "agent_lost")
    (step,) = [each for each in receiver.spans if each.parent_id == task.span_id]
    assert (step.attributes["clawlog.step.status"], step.end_ns) == ("running", task.end_ns)


@BOTH_ENGINES
async def test_a_reopened_task_is_a_new_trace_that_is_linked_to_the_first(receiver: OtlpReceiver, exporting: Exporting) -> None:
    backend, api = exporting()
    await ended(api, "t", metadata={"traceparent": MARK})
    backend.clock.ahead_ms += SETTLED_MS
    (first,) = await receiver.of_tasks("t")
    assert (first.trace_id, first.parent_id) == tuple(MARK.split("-")[1:3])
    await api.events(
        event("task_status", "again", "t", at(100), status="running"),
        event("task_status", "over", "t", at(130), status="failed", summary="no luck"),
    )
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.until(lambda it: len(it.spans) == 2)
    second = receiver.spans[1]
    assert second.trace_id != first.trace_id
    assert second.parent_id == ""
    assert second.links == [(first.trace_id, first.span_id, {"clawlog.link.relation": "first_run"})]
    assert (second.attributes["clawlog.task.run"], second.error) == (2, "no luck")
    assert second.end_ns - second.start_ns == 30_000_000_000


async def test_an_end_that_is_taken_back_at_once_is_none(receiver: OtlpReceiver, exporting: Exporting) -> None:
    backend, api = exporting()
    await api.events(
        event("task_created", "c", "t", at(0), title="T", steps=[{"step_id": "a", "title": "A"}]),
        event("step_status", "a", "t", at(5), step_id="a", status="done"),  # all steps have ended: the task is done
        event("step_added", "b", "t", at(5.1), step_id="b", title="B"),
        event("step_status", "b2", "t", at(9), step_id="b", status="done"),
    )
    backend.clock.ahead_ms += SETTLED_MS
    (task,) = await receiver.of_tasks("t")
    assert task.end_ns - task.start_ns == 9_000_000_000
    await reach(api, **{'traces_total{result="exported"}': 1, "traces_waiting": 0})
    assert len(receiver.spans) == 3


async def test_a_task_stands_below_its_callers_span_and_knows_the_task_around_it(
    receiver: OtlpReceiver, exporting: Exporting
) -> None:
    backend, api = exporting()
    await ended(api, "top", metadata={"traceparent": MARK})
    own = trace_ids.own_context("top")
    await ended(api, "below", parent="top")
    by_span = f"00-{MARK.split('-')[1]}-{own.span_id.hex()}-01"
    await ended(api, "named", parent="top", metadata={"traceparent": by_span})
    elsewhere = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await ended(api, "apart", parent="top", metadata={"traceparent": elsewhere})
    await ended(api, "orphan", parent="not-here")
    await ended(api, "malformed", metadata={"traceparent": "00-xyz"})
    await ended(api, "unrecorded", metadata={"traceparent": MARK[:-1] + "0"})
    backend.clock.ahead_ms += SETTLED_MS
    names = ("top", "below", "named", "apart", "orphan", "malformed")
    spans = {each.attributes["clawlog.task.id"]: each for each in await receiver.of_tasks(*names)}
    top = spans["top"]
    for name in ("below", "named"):
        assert (spans[name].trace_id, spans[name].parent_id, spans[name].links) == (top.trace_id, top.span_id, [])
    assert (spans["apart"].trace_id, spans["apart"].parent_id) == ("a" * 32, "b" * 16)
    assert [link[:2] for link in spans["apart"].links] == [(top.trace_id, top.span_id)]
    missing = trace_ids.own_context("not-here")
    assert [link[:2] for link in spans["orphan"].links] == [(missing.trace_id.hex(), missing.span_id.hex())]
    assert (spans["malformed"].trace_id, spans["malformed"].parent_id) == (trace_ids.trace_id("malformed", 1).hex(), "")
    assert all("clawlog.metadata.traceparent" not in each.attributes for each in receiver.spans)
    await reach(api, **{'traces_total{result="unsampled"}': 1, "traces_waiting": 0})

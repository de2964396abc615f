"""Tasks that ended, as traces at a receiver that decodes them: their shape, and what a receiver that is not well costs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from importlib import metadata
from pathlib import Path

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from clawlog_backend import main
from clawlog_backend.domain import trace_ids
from clawlog_backend.otel import environment, exporter, library
from clawlog_backend.settings import SettingsError, TraceReceiver
from support.backend_process import BackendProcess
from support.engines import BOTH_ENGINES
from support.otlp_receiver import OtlpReceiver, ReceivedSpan
from support.running_backend import Api, RunningBackend, event

SETTLED_MS = 3_000
MARK = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(exporter, "_FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(exporter, "_LONGEST_WAIT_S", 0.1)


Exporting = Callable[..., tuple[RunningBackend, Api]]


@pytest.fixture
def exporting(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, receiver: OtlpReceiver
) -> Exporting:
    """Starts a backend that exports to the receiver; flags are those of ``TraceReceiver``."""

    def start(environ: dict[str, str] | None = None, **changes: object) -> tuple[RunningBackend, Api]:
        where = environment.receiver(environ or {}, receiver.url)
        values = {name: getattr(where, name) for name in TraceReceiver.__dataclass_fields__}
        backend = start_backend(traces=TraceReceiver(**(values | changes)))
        return backend, Api(session, backend.url)

    return start


def at(second: float) -> str:
    return f"2026-02-28T09:{int(second // 60):02d}:{second % 60:06.3f}Z"


async def ended(api: Api, task_id: str, *, parent: str | None = None, status: str = "done", **more: object) -> None:
    """A task that has ended."""
    given = {"parent_task_id": parent} if parent else {}
    await api.events(
        event("task_created", f"{task_id}-c", task_id, at(0), title=task_id.upper(), **given, **more),
        event("task_status", f"{task_id}-r", task_id, at(1), status="running"),
        event("task_status", f"{task_id}-e", task_id, at(9), status=status),
    )


async def waiting(api: Api) -> dict[str, float]:
    """The metrics of the export."""
    _, text = await api("GET", "/metrics")
    lines = [line.rpartition(" ") for line in text.decode().splitlines() if line.startswith("clawlog_backend_trace")]
    return {name.removeprefix("clawlog_backend_"): float(value) for name, _, value in lines}


async def reach(api: Api, **wanted: float) -> dict[str, float]:
    """Wait until metrics have these values."""
    async with asyncio.timeout(15):
        while True:
            found = await waiting(api)
            if all(found[name] == value for name, value in wanted.items()):
                return found
            await asyncio.sleep(0.02)


# ── The shape ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── A receiver that is not well ─────────────────────────────────────────────────────────────────────────────────────────


async def test_what_ends_while_the_receiver_is_down_is_told_once_it_is_back(
    receiver: OtlpReceiver, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    await receiver.stop()
    backend, api = exporting()
    for n in range(30):
        await ended(api, f"t{n}")
    backend.clock.ahead_ms += SETTLED_MS
    assert (await reach(api, traces_waiting=30, trace_receiver_up=0))["trace_failed_requests_total"] >= 1
    await ended(api, "late")  # intake goes on
    await receiver.start()
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("late", *(f"t{n}" for n in range(30)))
    await reach(api, traces_waiting=0, trace_receiver_up=1)
    assert len(receiver.spans) == 31
    told = [each.message for each in caplog.records if "exporter" in each.name]
    assert [text.split(":")[0].split(",")[0] for text in told] == ["traces wait", "the receiver of traces answers again"]


async def test_the_queue_is_bounded_and_drops_the_oldest(
    receiver: OtlpReceiver, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    await receiver.stop()
    backend, api = exporting(most_waiting=10)
    for n in range(25):
        await ended(api, f"t{n}")
        backend.clock.ahead_ms += 1
    await reach(api, **{'traces_total{result="dropped"}': 15, "traces_waiting": 10})
    await receiver.start()
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks(*(f"t{n}" for n in range(15, 25)))
    assert len(receiver.spans) == 10
    assert sum("the oldest are dropped" in each.message for each in caplog.records) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [(503, {}), (429, {"Retry-After": "0.1"}), (503, {"Retry-After": "Sat, 28 Feb 2026 09:00:00 GMT"}), (401, {}), (302, {})],
)
async def test_an_answer_that_is_for_now_is_asked_again(
    receiver: OtlpReceiver, exporting: Exporting, status: int, headers: dict[str, str]
) -> None:
    answers = [(status, headers | {"Location": receiver.url + "/elsewhere"}, b"for now")] * 2
    receiver.answer = lambda _: answers.pop() if answers else (200, {}, b"")
    backend, api = exporting()
    await ended(api, "t")
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("t")
    assert len(receiver.requests) == 3


async def test_retry_after_is_kept_to(receiver: OtlpReceiver, exporting: Exporting) -> None:
    receiver.answer = lambda _: (429, {"Retry-After": "3600"}, b"")
    backend, api = exporting()
    await ended(api, "t")
    backend.clock.ahead_ms += SETTLED_MS
    await reach(api, trace_receiver_up=0)
    await ended(api, "u")
    backend.clock.ahead_ms += SETTLED_MS
    await reach(api, traces_waiting=2)
    await asyncio.gather(*(api("GET", "/healthz") for _ in range(20)))
    assert len(receiver.requests) == 1


async def test_one_that_is_refused_takes_none_with_it(
    receiver: OtlpReceiver, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda names: (400, {}, b"bad") if "clawlog.task bad" in names else (200, {}, b"")
    backend, api = exporting()
    for name in ("t1", "bad", "t2"):
        await ended(api, name, metadata={"project": name})
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("t1", "t2")
    await reach(api, **{'traces_total{result="exported"}': 2, 'traces_total{result="refused"}': 1, "traces_waiting": 0})
    assert "refused one, which is not sent again: HTTP status 400" in caplog.text


async def test_one_that_the_receiver_fails_at_for_ever_does_not_hold_the_rest(
    receiver: OtlpReceiver, exporting: Exporting
) -> None:
    receiver.answer = lambda names: (500, {}, b"") if "clawlog.task bad" in names else (200, {}, b"")
    backend, api = exporting()
    for name in ("bad", "t1"):
        await ended(api, name, metadata={"project": name})
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("t1")
    await reach(api, **{'traces_total{result="refused"}': 1, "traces_waiting": 0})


async def test_spans_that_are_not_taken_of_a_request_are_counted(
    receiver: OtlpReceiver, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
    receiver.answer = lambda _: (200, {}, ExportTraceServiceResponse(partial_success=partial).SerializeToString())
    backend, api = exporting()
    await ended(api, "t")
    backend.clock.ahead_ms += SETTLED_MS
    await reach(api, traces_waiting=0, trace_rejected_spans_total=1)
    assert "did not take 1 spans: too old" in caplog.text


async def test_a_slow_receiver_holds_up_nobody(receiver: OtlpReceiver, exporting: Exporting) -> None:
    receiver.hold.clear()
    backend, api = exporting(timeout_s=0.3)
    await ended(api, "t")
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.until(lambda it: bool(it.requests))
    for n in range(20):
        await ended(api, f"meanwhile-{n}")
    assert (await waiting(api))["traces_waiting"] <= 21
    await reach(api, trace_receiver_up=0)
    receiver.hold.set()
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("t", *(f"meanwhile-{n}" for n in range(20)))


async def test_it_is_sent_as_the_environment_says(receiver: OtlpReceiver, exporting: Exporting) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=secret%20key", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
    backend, api = exporting(environ)
    await ended(api, "t")
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("t")
    (headers,) = receiver.requests
    assert (headers["x-api-key"], headers["Content-Encoding"]) == ("secret key", "gzip")
    assert headers["Content-Type"] == "application/x-protobuf"
    assert "secret" not in repr(backend.settings)


async def test_a_task_that_a_wrong_clock_dates_is_exported(receiver: OtlpReceiver, exporting: Exporting) -> None:
    backend, api = exporting()
    await api.events(
        event("task_created", "c", "t", "0001-01-01T00:00:00.000Z", title="T"),
        event("task_status", "e", "t", "9999-01-01T00:00:00.000Z", status="done"),
    )
    backend.clock.ahead_ms += SETTLED_MS
    (task,) = await receiver.of_tasks("t")
    assert task.start_ns == 0 < task.end_ns


# ── Kills ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ids(spans: list[ReceivedSpan]) -> set[tuple[str, str, str]]:
    return {(each.trace_id, each.span_id, each.parent_id) for each in spans}


@BOTH_ENGINES
async def test_after_one_that_is_killed_another_loses_none_and_repeats_the_same_spans(
    receiver: OtlpReceiver,
    exporting: Exporting,
    session: aiohttp.ClientSession,
    database: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other is a replica, which exports nothing before that; on SQLite the next one over the same file."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")  # nothing is sent again before the kill
    receiver.hold.clear()  # it takes what it is sent, and the backend never hears of that
    process = BackendProcess(tmp_path, database=database, flags=("--otel", receiver.url))
    await asyncio.to_thread(process.start)
    has_replica = database.startswith("postgresql")
    try:
        killed = Api(session, process.url)
        await ended(killed, "t", steps=[{"title": "A"}, {"title": "B"}])
        await ended(killed, "below", parent="t")
        await receiver.until(lambda it: bool(it.requests))
        before = ids(receiver.spans)
        replicas = [killed, exporting()[1]] if has_replica else [killed]
        for n, api in enumerate(replicas * 3):  # what ends now may not even be in the queue yet
            await ended(api, f"t{n}", parent="t")
        assert ids(receiver.spans) == before
    finally:
        await asyncio.to_thread(process.kill)
    receiver.spans.clear()
    receiver.hold.set()
    if has_replica:  # what it held by its lease is the other's once that has run out
        cluster = request.getfixturevalue("postgres")
        cluster.execute("UPDATE leases SET until_ms = until_ms - 15001", cluster.name(database))
    else:
        exporting()
    await receiver.of_tasks("t", "below", *(f"t{n}" for n in range(3 * len(replicas))))
    assert before <= ids(receiver.spans)
    (top,) = (each for each in receiver.spans if each.attributes.get("clawlog.task.id") == "t")
    assert {each.trace_id for each in receiver.spans} == {top.trace_id} == {trace_ids.trace_id("t", 1).hex()}
    below = {each.parent_id for each in receiver.spans if each.attributes.get("clawlog.task.parent_id") == "t"}
    assert below == {top.span_id}
    assert len(receiver.spans) == len(ids(receiver.spans)), "the other told each once"


# ── Settings ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_begins_to_export_does_not_tell_the_past(
    receiver: OtlpReceiver, exporting: Exporting, start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    without = start_backend()
    await ended(Api(session, without.url), "old")
    without.stop()
    backend, api = exporting()
    await reach(api, traces_waiting=0)
    await ended(api, "new")
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("new")
    assert [each.attributes["clawlog.task.id"] for each in receiver.spans] == ["new"]


def test_it_is_an_extra_of_which_nothing_else_loads_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (required,) = project["optional-dependencies"]["otel"]
    assert not any(each.startswith("opentelemetry") for each in project["dependencies"])
    load = (
        "import sys\nfrom clawlog_backend import main\nfrom clawlog_backend.http.server import BackendServer\n"
        f"from clawlog_backend.settings import Settings\nBackendServer(Settings(database={str(tmp_path / 'x.db')!r}))\n"
        "from clawlog.cli import main as client\n"
        "for name in client.COMMANDS: client.cli.get_command(None, name)\n"
        "import clawlog.scripting.fast, clawlogd.app\n"
        "print(*sys.modules, sep='\\n')"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ran = subprocess.run([sys.executable, "-c", load], env=env, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert not {each for each in loaded if each.startswith(("opentelemetry.proto", "google", "clawlog_backend.otel"))}

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(library.metadata, "version", missing)
    assert main.main(["--otel", "--database", str(tmp_path / "backend.db")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "clawlog backend: --otel needs the library opentelemetry-proto, which is not installed; install it: "
    )
    assert f"-m pip install '{required}'`" in said
    assert not (tmp_path / "backend.db").exists()


@pytest.mark.parametrize(
    ("environ", "endpoint", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, "sent as http/protobuf alone"),
        ({}, "ftp://x", "expected one such as http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, None, "expected one such as http://localhost:4318"),
        ({}, "http://me:secret@host", "put them into OTEL_EXPORTER_OTLP_HEADERS"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, None, "expected NAME=VALUE"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=secret%0d%0ax: y"}, None, "holds what no header can be"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "never"}, None, "expected milliseconds"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, None, "expected gzip or none"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said_and_no_secret(
    environ: dict[str, str], endpoint: str | None, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        environment.receiver(environ, endpoint)
    assert "secret" not in str(refused.value)


def test_what_is_said_of_traces_goes_before_what_is_said_of_all() -> None:
    every = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:1/base/",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=by%20attribute,a=b",
    }
    found = environment.receiver(every)
    assert (found.url, found.timeout_s) == ("http://all:1/base/v1/traces", 5.0)
    assert found.resource == {"service.name": "by attribute", "a": "b"}
    of_traces = every | {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:2/exactly",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1500",
        "OTEL_SERVICE_NAME": "named",
    }
    found = environment.receiver(of_traces)
    assert (found.url, found.timeout_s, found.resource["service.name"]) == ("http://traces:2/exactly", 1.5, "named")
    assert environment.receiver(of_traces, "http://flag:3").url == "http://flag:3/v1/traces"
    assert environment.receiver({}).url == "http://localhost:4318/v1/traces"
    assert environment.receiver({}).resource == {"service.name": "clawlog"}


def test_the_settings_file_says_it_too_and_flags_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "backend.toml"
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    def said(text: str, *flags: str) -> TraceReceiver | None:
        file.write_text(text, encoding="utf-8")
        return main._traces(main.build_parser().parse_args(["--config", str(file), *flags]))  # noqa: SLF001 - no server is wanted

    whole = '[otel]\nendpoint = "http://there:1"\nqueue = 7'
    found = said(whole)
    assert found is not None
    assert (found.url, found.most_waiting) == ("http://there:1/v1/traces", 7)
    found = said(whole, "--otel", "http://flag:2", "--otel-queue", "9")
    assert found is not None
    assert (found.url, found.most_waiting) == ("http://flag:2/v1/traces", 9)
    assert said("") is None
    assert said("[otel]\nenabled = false") is None
    for wrong, message in {
        "queue = 0": "queue does not fit",
        "endpoint = 1": "endpoint does",
        "url = 1": "no setting 'url'",
    }.items():
        with pytest.raises(SettingsError, match=message):
            said(f"[otel]\n{wrong}")

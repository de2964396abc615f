"""What a receiver of traces that is not well, or the end of who exports, costs: nothing is lost, or it is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from clawlog_backend.domain import trace_ids
from support.backend_process import BackendProcess
from support.engines import BOTH_ENGINES
from support.exported import SETTLED_MS, Exporting, ended, reach, waiting
from support.otlp_receiver import OtlpReceiver, ReceivedSpan
from support.running_backend import Api, event

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

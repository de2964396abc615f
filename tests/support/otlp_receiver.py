"""A receiver of OTLP over HTTP, which decodes what arrives with the protocol's own types and can be told to misbehave."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

LIMIT_S = 15.0


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it arrived, in plain values."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[str, str, dict[str, Any]]]
    error: str | None


class OtlpReceiver:
    """Answers ``POST /v1/traces``.

    Attributes:
        spans: All that was accepted, in the order of its arrival.
        requests: The headers of every request.
        resources: The attributes of the resources that were accepted.
        answer: What to say to a request, by the names of its spans: a status, headers and a body; it may take its time.
    """

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.requests: list[Mapping[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.answer: Callable[[list[str]], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"")
        self.hold = asyncio.Event()
        self.hold.set()
        self.url = ""
        self._arrived = asyncio.Condition()
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, the second time on the port that it had before."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, reached: Callable[[Self], bool]) -> None:
        """Wait until something is true of it."""
        async with asyncio.timeout(LIMIT_S), self._arrived:
            await self._arrived.wait_for(lambda: reached(self))

    async def of_tasks(self, *task_ids: str) -> list[ReceivedSpan]:
        """The spans of tasks themselves, once all have arrived."""

        def found() -> list[ReceivedSpan]:
            return [each for each in self.spans if each.attributes.get("clawlog.task.id") in task_ids]

        await self.until(lambda _: {each.attributes["clawlog.task.id"] for each in found()} == set(task_ids))
        return found()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":  # aiohttp may have unpacked it
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        spans = [_plain(span) for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]
        status, headers, answer = self.answer([span.name for span in spans])
        async with self._arrived:
            self.requests.append(dict(request.headers))
            if status == 200:
                self.spans += spans
                self.resources += [_pairs(each.resource.attributes) for each in message.resource_spans]
            self._arrived.notify_all()
        await self.hold.wait()
        answer = answer or ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=status, headers={"Content-Type": "application/x-protobuf", **headers}, body=answer)


def _plain(span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_pairs(span.attributes),
        events=[(each.name, each.time_unix_nano, _pairs(each.attributes)) for each in span.events],
        links=[(each.trace_id.hex(), each.span_id.hex(), _pairs(each.attributes)) for each in span.links],
        error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
    )


def _pairs(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)

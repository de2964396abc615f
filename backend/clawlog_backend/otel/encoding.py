"""Spans as the bytes of an OTLP request, by the protocol's own types. Here alone is the extra's library imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as proto

from clawlog_backend import __version__
from clawlog_backend.domain.spans import Span

_SCOPE = "clawlog_backend"
_NS_A_MS = 1_000_000
_LATEST_NS = 2**64 - 1
_SAMPLED = 1


def encode(spans: Iterable[Span], resource: Mapping[str, str]) -> bytes:
    """A request that holds these spans.

    Args:
        spans: The spans.
        resource: The attributes of what they come from.
    """
    scoped = proto.ScopeSpans(scope=InstrumentationScope(name=_SCOPE, version=__version__), spans=map(_span, spans))
    whole = proto.ResourceSpans(resource=Resource(attributes=_attributes(resource)), scope_spans=[scoped])
    return ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans a receiver did not take although it took the request, and what it says of them."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:  # some answer with a text of their own
        return 0, ""
    return partial.rejected_spans, partial.error_message


def _span(span: Span) -> proto.Span:
    status = proto.Status()
    if span.error is not None:
        status = proto.Status(code=proto.Status.STATUS_CODE_ERROR, message=span.error)
    return proto.Span(
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_span_id=span.parent_id or b"",
        flags=_SAMPLED,
        name=span.name,
        kind=proto.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_ns(span.start_ms),
        end_time_unix_nano=_ns(span.end_ms),
        attributes=_attributes(span.attributes),
        events=[
            proto.Span.Event(name=each.name, time_unix_nano=_ns(each.at_ms), attributes=_attributes(each.attributes))
            for each in span.events
        ],
        dropped_events_count=span.dropped_events,
        links=[
            proto.Span.Link(
                trace_id=link.context.trace_id,
                span_id=link.context.span_id,
                attributes=_attributes({"clawlog.link.relation": link.relation}),
            )
            for link in span.links
        ],
        status=status,
    )


def _ns(ms: int) -> int:
    """A time as the protocol has it, which knows none before 1970 or after 2554; an agent's clock may say one."""
    return min(max(ms, 0) * _NS_A_MS, _LATEST_NS)


def _attributes(pairs: Mapping[str, str | int | float | bool]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in pairs.items()]


def _value(value: str | float | bool) -> AnyValue:  # noqa: FBT001 - an attribute's value may be one
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) and abs(value) < 2**63 else AnyValue(double_value=value)

"""Instants: milliseconds since the Unix epoch inside, RFC 3339 in UTC with milliseconds outside.

One type for both, so that no route and no query formats a time by itself. An integer in JSON is never read as a time: it could
mean seconds or milliseconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST = 64  # characters; far more than any sensible fraction of a second needs

Clock = Callable[[], "UtcMs"]


class UtcMs(int):
    """An instant, in whole milliseconds since 1970-01-01T00:00:00Z."""

    __slots__ = ()

    @classmethod
    def now(cls) -> Self:
        """This instant by the wall clock."""
        return cls(time.time_ns() // 1_000_000)

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read an RFC 3339 date and time.

        Raises:
            ValueError: The text is not one, or lies outside the years 1 to 9999 in UTC.
        """
        if isinstance(text, cls):
            return text
        if isinstance(text, str) and _CANONICAL.fullmatch(text):  # the form that this project's own programs send
            try:
                return cls((datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND)
            except ValueError:
                pass  # reported below
        match = _RFC3339.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
        if match is None or not isinstance(text, str):
            raise ValueError("expected an RFC 3339 date and time such as 2026-02-28T09:30:00.000Z")
        leap = match[1] == "60"  # RFC 3339 allows a leap second; Python's clock has none
        base, zone = text[:17] + ("59" if leap else match[1]), match[3]
        try:
            at = datetime.fromisoformat(base.upper() + ("+00:00" if zone in "Zz" else zone))
            whole = (at - _EPOCH) // _MILLISECOND
            at.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"not a date and time that exists: {error}") from None
        fraction = 999 if leap else int(((match[2] or ".0")[1:] + "00")[:3])
        return cls(whole + fraction)

    def rfc3339(self) -> str:
        """``2026-02-28T09:30:00.000Z``: always UTC, always three digits of a second."""
        return _format(int(self))

    def plus(self, *, ms: int = 0, days: float = 0) -> UtcMs:
        """The instant this much later (or earlier, where negative)."""
        return UtcMs(self + ms + int(days * 86_400_000))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Parse from text, serialise to text; an :class:`UtcMs` passes as it is."""
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(_format, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A string in the ``date-time`` format."""
        return {"type": "string", "format": "date-time", "examples": ["2026-02-28T09:30:00.000Z"]}


@lru_cache(maxsize=16_384)  # lists show the same few instants repeatedly
def _format(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    # Not strftime: it writes the year 999 with three digits.
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]}.{rest:03d}Z"

"""Backends that export to a receiver, and ask it again at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from clawlog_backend.otel import environment, exporter
from clawlog_backend.settings import TraceReceiver
from support.exported import Exporting
from support.otlp_receiver import OtlpReceiver
from support.running_backend import Api, RunningBackend


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(exporter, "_FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(exporter, "_LONGEST_WAIT_S", 0.1)


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

"""Daemon and backend on uvloop: one whole way through both, what they say of it, and what is said where it is not installed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

import clawlog_backend.event_loop
import clawlogd.event_loop
import clawlogd.settings
from clawlog_backend import settings as backend_settings
from support.backend_process import BackendProcess
from support.daemon_process import DaemonProcess, environment, run_to_end

CHOOSE = [
    (clawlogd.event_loop.factory_of, clawlogd.settings.SettingsError),
    (clawlog_backend.event_loop.factory_of, backend_settings.SettingsError),
]


async def test_a_report_and_a_stop_go_their_ways_on_uvloop(new_process: Callable[..., DaemonProcess], tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    backend = BackendProcess(tmp_path, loop="uvloop")
    backend.start()
    try:
        daemon = await new_process(CLAWLOG_BASE_URL=backend.url, CLAWLOG_LOOP="uvloop").start()
        assert (await daemon.call("daemon.status"))["event_loop"].startswith("uvloop ")
        assert 'loop="uvloop' in daemon.log
        async with aiohttp.ClientSession() as session, session.get(f"{backend.url}/api/stream?task_ids=t1") as stream:
            await daemon.call("task.create", title="Deploy", task_id="t1", steps=["one"])
            await daemon.call("step.update", task_id="t1", step="1", status="running", summary="on its way")
            async with asyncio.timeout(10):
                while b"on its way" not in await stream.content.readuntil(b"\n\n"):
                    pass
            watcher = await daemon.connect()
            await watcher.send(b'{"jsonrpc":"2.0","id":1,"method":"interrupt.watch","params":{"task_id":"t1"}}')
            await watcher.receive()
            await asyncio.to_thread(backend.call, "POST", "/api/tasks/t1/interrupt", {"mode": "soft_stop"})
            assert b"interrupt.changed" in await watcher.receive()
            await watcher.close()
        assert await daemon.stop() == 0
    finally:
        backend.stop()


async def test_without_uvloop_insisting_on_it_is_a_usage_error_that_says_what_to_install(folder: Path) -> None:
    (folder / "uvloop.py").write_text("raise ImportError('not here')", encoding="utf-8")
    env = environment(folder, PYTHONPATH=str(folder))
    status, out, err = await run_to_end(folder, "--loop", "uvloop", env=env)
    assert (status, out) == (2, "")
    assert err == (
        'clawlogd: loop: uvloop cannot be imported (not here); install the extra "fast", or set loop to "auto" or "asyncio"\n'
    )


@pytest.mark.parametrize(("choose", "refusal"), CHOOSE)
def test_where_it_cannot_be_imported_asyncios_own_loop_is_taken_unless_somebody_insists(
    choose: Callable[[str], object], refusal: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert choose("auto") is None
    with pytest.raises(refusal, match="fast"):
        choose("uvloop")


@pytest.mark.parametrize(("choose", "refusal"), CHOOSE)
def test_where_it_is_refused_it_is_not_even_imported(
    choose: Callable[[str], object], refusal: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "uvloop", raising=False)
    assert choose("asyncio") is None
    assert "uvloop" not in sys.modules

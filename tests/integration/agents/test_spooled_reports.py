"""Reports that hooks wrote down while no daemon could be reached are taken in order, for the times at which they were made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlog import spool
from clawlog.connection import calls
from clawlog.locations import machine_id
from clawlog.protocol.agents import agent_task_id
from support.running_daemon import RunningDaemon
from support.sessions import PlayedSession


def keep(state_dir: Path, *reports: tuple[str, dict[str, Any]], agent: str = "claude-code", session_id: str) -> None:
    for event, params in reports:
        call = calls.agent_event(agent, session_id, event, **params)
        result = spool.keep([(call.method, call.params)], {"CLAWLOG_STATE_DIR": str(state_dir)})[0]
        assert call.read(result).decision == "go"
        assert call.read(result).spooled


async def test_a_whole_session_from_the_spool(daemon: RunningDaemon, hook: PlayedSession) -> None:
    hook.task_id = agent_task_id(machine_id(), os.geteuid(), hook.agent, hook.session_id)
    await daemon.stop()
    keep(
        daemon.state_dir,
        ("session.started", {"at": "2026-01-02T03:04:05.000Z"}),
        ("prompt", {"prompt": "Fix it\nall of it", "at": "2026-01-02T03:04:06.000Z"}),
        ("plan", {"plan": ["look", calls.PlannedStep("write", "running")], "at": "2026-01-02T03:04:07.000Z"}),
        ("turn.ended", {"at": "2026-01-02T03:04:08.000Z"}),
        ("session.ended", {"at": "2026-01-02T03:04:09.000Z"}),
        session_id=hook.session_id,
    )
    assert "all of it" not in "".join(path.read_text() for path in (daemon.state_dir / "spool").glob("*.call"))
    await daemon.start()
    task = await hook.at_backend()
    assert (task["status"], task["created_at"]) == ("done", "2026-01-02T03:04:05.000Z")
    assert task["ended_at"] == "2026-01-02T03:04:09.000Z"
    assert await hook.steps() == [("Fix it", "done"), ("look", "pending"), ("write", "running")]
    assert (await daemon.call("daemon.status"))["outbox"]["spool_set_aside"] == 0


async def test_a_report_does_not_overtake_what_waits_in_the_spool(daemon: RunningDaemon, hook: PlayedSession) -> None:
    keep(
        daemon.state_dir,
        ("prompt", {"prompt": "One", "at": "2026-01-02T03:04:06.000Z"}),
        session_id=hook.session_id,
    )
    await hook("prompt", prompt="Two")
    assert await hook.steps() == [("One", "skipped"), ("Two", "running")]


async def test_a_new_session_waits_in_the_spool_while_there_is_no_room_and_holds_up_no_other(
    daemon: RunningDaemon, hook: PlayedSession, monkeypatch: pytest.MonkeyPatch
) -> None:

    await hook("prompt", prompt="One")
    live = daemon.services.live_settings
    roomy, live.now = live.now, msgspec.structs.replace(live.now, tasks=msgspec.structs.replace(live.now.tasks, max_known=1))
    keep(daemon.state_dir, ("prompt", {"prompt": "New"}), session_id="new")
    await hook("turn.ended")
    assert (await daemon.call("task.list"))["tasks"][0]["task_id"] == hook.task_id
    assert len(daemon.services.registry) == 1
    monkeypatch.setattr("clawlogd.rpc.spool._RETRY_HELD_S", 0.0)
    live.now = roomy
    keep(daemon.state_dir, ("turn.ended", {}), session_id="new")
    task_id = agent_task_id(machine_id(), os.geteuid(), "claude-code", "new")

    assert (await daemon.call("task.list"))["tasks"]
    await daemon.stop()
    await daemon.start()
    assert [step.status for step in daemon.services.registry.get(task_id).steps] == ["done"]

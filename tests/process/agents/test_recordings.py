"""Every call of a hook that was recorded, made once more to the hook itself: what arrives at the daemon is what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.replay import RECORDINGS, Recording, expected, recordings
from support.agent_hook import Hook

AFTER = {"PostToolUse", "PostToolUseFailure", "AfterTool", "postToolUse"}
"""The events of which a sign is all that is left."""


@pytest.mark.parametrize("agent", sorted(path.name for path in RECORDINGS.iterdir()))
def test_what_was_recorded_arrives_at_the_daemon(folder: Path, agent: str) -> None:
    hook = Hook(folder)
    kept = expected(agent)
    found = list(recordings(agent))
    with hook.daemon() as daemon:
        with hook.begun() as descriptor:
            for each in found:
                result = hook.call_only(agent, each.event, _own_session(each, kept), descriptor, **_version(each))
                assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), each.name
        received = [each.params for each in daemon.requests]
    for each in found:
        arrived = [params for params in received if params["session_id"] == each.name]
        assert [_known(params) for params in arrived] == [_known(report) for report in _told(each, kept)], each.name
    assert len(received) == sum(len(_told(each, kept)) for each in found)


def _own_session(recording: Recording, kept: dict[str, Any]) -> dict[str, Any]:
    """The payload, with the recording's name for its session, so that reports can be told apart however they overtake."""
    text = json.dumps(recording.payload)
    for report in kept[recording.name][:1]:
        text = text.replace(json.dumps(report["session_id"]), json.dumps(recording.name))
    payload: dict[str, Any] = json.loads(text)
    return payload


def _version(recording: Recording) -> dict[str, str]:
    names = ("AI_AGENT", "QWEN_CODE_STARTUP_VERSION", "COPILOT_CLI_BINARY_VERSION")
    return {name: recording.environment[name] for name in names if name in recording.environment}


def _told(recording: Recording, kept: dict[str, Any]) -> list[dict[str, Any]]:
    """What of a recording's reports goes to the daemon."""
    reports = [each for each in kept[recording.name] if each["event"] != "tool.after" or recording.event not in AFTER]
    # A step without a title says nothing of a session whose plan is not known.
    return [each for each in reports if "step" not in each or each["step"]["title"] is not None]


def _known(report: dict[str, Any]) -> dict[str, Any]:
    if "step" in report:
        report = {**report, "plan": [{name: report["step"][name] for name in ("title", "status")}]}
    names = ("event", "resumed", "prompt", "plan", "tool", "failed", "question", "reason", "agent_version", "subagent_id")
    return {name: report[name] for name in names if name in report}

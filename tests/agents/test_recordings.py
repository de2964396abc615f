"""What real agents handed to their hooks is read as it is kept beside it, and nothing that is private comes out of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agents.replay import RECORDINGS, Recording, expected, recordings, reported
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.delivery import Sender
from clawlog.protocol.agents import AGENTS as NAMES
from clawlog.protocol.vocabulary import MAX_LINE_BYTES

RECORDED = sorted(path.name for path in RECORDINGS.iterdir())
CANARY = "canary-8c1f"
TITLES = {"TaskCreate", "TaskUpdate", "TodoWrite", "update_plan", "write_todos", "todo_write", "todowrite"}
QUESTIONS = {"AskUserQuestion", "request_user_input"}
NEVER_TAKEN = {
    "tool_input", "tool_response", "tool_result", "toolArgs", "toolInput", "toolResult", "transcript_path", "transcriptPath",
    "agent_transcript_path", "last_assistant_message", "error", "message", "prompt_response", "response", "params", "result",
    "messages", "args", "llm_request", "llm_response", "tool_calls", "permission_suggestions", "user_email",
}  # fmt: skip


def test_every_agent_that_is_known_by_name_has_a_module() -> None:
    assert tuple(AGENTS) == NAMES
    assert all(name == agent.name for name, agent in AGENTS.items())


@pytest.mark.parametrize("agent", RECORDED)
def test_each_recording_is_reported_as_is_kept(agent: str) -> None:
    now = {recording.name: reported(recording) for recording in recordings(agent)}
    assert now == expected(agent)


@pytest.mark.parametrize("agent", RECORDED)
def test_what_tools_are_given_and_give_never_gets_into_a_report(agent: str) -> None:
    replaced = 0
    for recording in recordings(agent):
        payload = copy.deepcopy(dict(recording.payload))
        replaced += _poison(payload, within=False)
        again = Recording(recording.name, agent, recording.event, payload, {**recording.environment, "API_KEY": CANARY})
        taken = {"plan", "step", "question"} if payload.get("tool_name") in TITLES | QUESTIONS else set()
        for report in reported(again):
            said = {name: value for name, value in report.items() if name not in taken}
            assert CANARY not in json.dumps(said), recording.name
    assert replaced > 3


@pytest.mark.parametrize("agent", RECORDED)
def test_a_payload_that_is_not_what_it_was_is_read_without_harm(agent: str) -> None:
    read = 0
    for recording in recordings(agent):
        for payload in _damaged(recording.payload):
            for report in AGENTS[agent].read(recording.event, payload, {}):
                read += 1
                assert report.session_id
                assert isinstance(report.session_id, str)
                message = Sender(agent, "/state", {}, 7, 1e9).call(report).encode(1)
                assert len(message) < MAX_LINE_BYTES
    assert read > 20


def _poison(value: Any, *, within: bool) -> int:
    """Replaces each text in what is never taken; returns how many there were."""
    count = 0
    for key, each in list(value.items() if isinstance(value, dict) else enumerate(value)):
        private = within or key in NEVER_TAKEN
        if isinstance(each, dict | list):
            count += _poison(each, within=private)
        elif private and isinstance(each, str):
            value[key] = CANARY
            count += 1
    return count


WRONG: tuple[Any, ...] = (None, True, -1, 1e300, "", "\ud800\n\x1b[31m" * 3, "y" * 70_000, [], [None, 7, {}], {}, {"id": {}})


def _damaged(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The payload with one member replaced by each wrong value, or without it, at two depths."""
    for name, value in payload.items():
        yield {key: each for key, each in payload.items() if key != name}
        for wrong in WRONG:
            yield {**payload, name: wrong}
        if isinstance(value, dict):
            for inner in value:
                for wrong in WRONG:
                    yield {**payload, name: {**value, inner: wrong}}

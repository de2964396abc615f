"""The task of the agent's own session, which the scripts take where no other is named."""

from __future__ import annotations

import os

import pytest

from clawlog import locations, origin
from clawlog.protocol.agents import agent_task_id
from clawlog.scripting import plan


@pytest.mark.parametrize(
    ("variable", "agent"),
    [
        ("CODEX_SESSION_ID", "codex"),
        ("CODEX_THREAD_ID", "codex"),
        ("CLAUDE_CODE_SESSION_ID", "claude-code"),
        ("GEMINI_SESSION_ID", "gemini-cli"),
        ("QWEN_CODE_SESSION_ID", "qwen-code"),
    ],
)
@pytest.mark.parametrize("session_id", ["01a219d1-6b82-7f53-ac87-a520bd19a096", "部署", "\udcff"])
def test_it_is_the_one_that_the_hook_reports(variable: str, agent: str, session_id: str) -> None:
    expected = agent_task_id(locations.machine_id(), os.geteuid(), agent, session_id)
    assert origin.own_task({variable: session_id}) == expected


def test_outside_of_a_session_there_is_none() -> None:
    assert origin.own_task({"CLAUDECODE": "1", "CODEX_SESSION_ID": ""}) is None


def test_what_is_named_goes_first() -> None:
    env = {"CODEX_SESSION_ID": "s"}
    own = origin.own_task(env)
    assert plan.task_id_of({}, env) == own
    assert plan.task_id_of({}, env | {"CLAWLOG_TASK_ID": "t"}) == "t"
    assert plan.task_id_of({"task_id": "u"}, env | {"CLAWLOG_TASK_ID": "t"}) == "u"
    with pytest.raises(plan.UsageError, match="is empty"):
        plan.task_id_of({"task_id": ""}, env)


def test_a_task_that_is_created_within_a_session_is_its_part_where_that_is_known() -> None:
    (request,) = plan.create_task({"title": "t"}, {"CODEX_SESSION_ID": "s"})
    assert request.params["parent_task_id"] == origin.own_task({"CODEX_SESSION_ID": "s"})
    assert request.params["parent_implied"] is True
    assert request.params["metadata"]["agent"] == "codex"

"""The sessions that ``clawlog hooks try`` makes up are in the agents' own words: their modules read them, event by event."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawlog.agents.agent import NotOffered, Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import JsonEntry, OwnFile
from clawlog.cli.commands.hooks import moments

EVENTS = ["session.started", "prompt", "tool.before", "tool.after", "turn.ended", "session.ended"]
PLUGINS = {"opencode", "openclaw"}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agents_module_reads_what_is_made_up_for_it(name: str) -> None:
    read = []
    for moment in moments.session(name, "session-1", "/project"):
        (report,) = AGENTS[name].read(moment.event, json.loads(json.dumps(moment.payload)), {})
        assert report.session_id == "session-1"
        assert report.cwd in ("/project", None)
        assert report.prompt == (moments.PROMPT if report.event == "prompt" else None)
        read.append(report.event)
    assert read == [event for event in EVENTS if name not in PLUGINS or event != "tool.after"]


@pytest.mark.parametrize("name", sorted(AGENTS.keys() - PLUGINS))
def test_what_is_made_up_are_events_that_are_registered(name: str, tmp_path: Path) -> None:
    place = Place({"HOME": str(tmp_path)}, str(tmp_path / "hooks"))
    registered: set[str] = set()
    try:
        changes = AGENTS[name].changes(place)
    except NotOffered:
        pytest.fail("every agent can be set up for all of a user's sessions")
    for each in changes:
        if isinstance(each, JsonEntry):
            registered.add(each.where[-1])
        elif isinstance(each, OwnFile):
            registered |= json.loads(each.content)["hooks"].keys()
    told = {moment.event for moment in moments.session(name, "session-1", "/project")}
    assert told <= registered | ({"SessionEnd"} if name == "qwen-code" else set())

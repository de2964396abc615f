"""What is put into settings can be taken out again, to the byte or around whatever others have written since."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawlog.agents.installation import JsonEntry, JsonMember
from clawlog.cli.editing import changes, json_text

EVENTS = ("Start", "Before", "After", "End")
OURS = "'/a place/hook' agent"


def hook(event: str) -> dict[str, Any]:
    return {"type": "command", "command": f"{OURS} {event}", "timeout": 2}


def entry(event: str) -> JsonEntry:
    return JsonEntry("settings.json", ("hooks", event), {"hooks": [hook(event)]})


PLANS = JsonMember("settings.json", ("env", "PLANS"), "1")
ALL = [*map(entry, EVENTS), PLANS]

commands = st.text("abc ", min_size=1, max_size=5)
groups = st.fixed_dictionaries(
    {"hooks": st.lists(st.fixed_dictionaries({"type": st.just("command"), "command": commands}), max_size=2)},
    optional={"matcher": st.text(max_size=3)},
)
trees = st.fixed_dictionaries(
    {},
    optional={
        "hooks": st.dictionaries(st.sampled_from([*EVENTS, "Other"]), st.lists(groups, max_size=3), max_size=4),
        "env": st.dictionaries(st.sampled_from("ABC"), st.text(max_size=3), max_size=2),
        "model": st.none() | st.booleans() | st.text(max_size=3),
    },
)
bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
styles = st.sampled_from([{"indent": 2}, {"indent": "\t"}, {}, {"separators": (",", ":")}])


def added(text: str) -> tuple[str, list[changes.Own], list[changes.Splice]]:
    owns, splices = [], []
    for edit in ALL:
        after, own = changes.add(text, edit, "agent")
        splices.append(changes.splice(text, after))
        owns.append(own)
        text = after
    return text, owns, splices


def removed(text: str, owns: list[changes.Own]) -> str:
    for own in reversed(owns):
        text = changes.remove(text, own)
    return changes.prune(text, owns)


@bounded
@given(trees, styles, st.sampled_from(["", "\n"]))
def test_where_nobody_else_wrote_it_is_undone_to_the_byte(tree: dict[str, Any], style: dict[str, Any], end: str) -> None:
    text = json.dumps(tree, **style) + end
    after, _, splices = added(text)
    assert all(changes.state(after, edit) == "there" for edit in ALL)
    assert changes.undo(after, splices) == text
    assert changes.undo(f"x{after}", splices) is None


@bounded
@given(trees, styles, styles, st.data())
def test_where_somebody_else_wrote_theirs_stays(
    tree: dict[str, Any], style: dict[str, Any], theirs: dict[str, Any], data: st.DataObject
) -> None:
    after, owns, _ = added(json.dumps(tree, **style))
    edited = json.loads(after)
    expected = copy.deepcopy(tree)
    for event in data.draw(st.lists(st.sampled_from(EVENTS), unique=True)):
        group, at = data.draw(groups), data.draw(st.integers(0, 3))
        for whole in (edited, expected):
            whole.setdefault("hooks", {}).setdefault(event, []).insert(at, group)
        # Where the place is behind ours, theirs follows ours: the order among theirs is the same.
        edited["hooks"][event].sort(key=lambda each: 0 if OURS in str(each) else 1)
    if data.draw(st.booleans()):
        edited["theme"] = expected["theme"] = "dark"
    assert json.loads(removed(json.dumps(edited, **theirs), owns)) == expected


def test_a_hook_beside_ours_stays_and_ours_goes() -> None:
    groups = [{"matcher": "x", "hooks": [{"command": "mine"}, hook("Before")]}]
    text = json.dumps({"hooks": {"Before": groups}})
    assert changes.state(text, entry("Before")) == "there"
    own = changes.Own.of(entry("Before"), kept=0, agent="agent")
    assert json.loads(changes.remove(text, own)) == {"hooks": {"Before": [{"matcher": "x", "hooks": [{"command": "mine"}]}]}}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({"env": {"PLANS": "1"}}, "there"),
        ({"env": {"PLANS": 1}}, "different"),
        ({"env": {"PLANS": None}}, "different"),
        ({"env": {}}, "missing"),
        ({}, "missing"),
    ],
)
def test_a_member_is_there_with_its_very_value(found: Any, state: str) -> None:
    assert changes.state(json.dumps(found), PLANS) == state


def test_a_member_that_somebody_has_changed_is_theirs() -> None:
    after, own = changes.add("{}", PLANS, "agent")
    changed = after.replace('"1"', '"0"')
    assert changes.prune(changes.remove(changed, own), [own]) == changed


def test_one_is_not_true() -> None:
    edit = JsonEntry("settings.json", ("on",), True)
    assert changes.state('{"on": [1]}', edit) == "missing"
    assert changes.state('{"on": [true]}', edit) == "there"


def test_a_record_of_what_was_put_in_reads_as_it_was_written() -> None:
    _, owns, splices = added("{}")
    told = json.loads(json.dumps([[own.recorded() for own in owns], splices]))
    assert [changes.Own.loaded(each) for each in told[0]] == owns
    assert [tuple(each) for each in told[1]] == splices


def test_only_what_is_ours_is_in_the_record() -> None:
    text = json_text.new({"secret": "hunter2", "hooks": {"Start": [{"hooks": [{"command": "curl -H hunter2"}]}]}, "z": 1})
    _, owns, splices = added(text)
    assert "hunter2" not in json.dumps([[own.recorded() for own in owns], splices])

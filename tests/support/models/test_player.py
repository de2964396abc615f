"""The model's answers, before any protocol."""

from __future__ import annotations

import json

import pytest

from support.models.player import Answer, Request, answer
from support.models.script import PLAIN, Script, Turn, play
from support.models.tools import Offer

CLAUDE = Offer(frozenset({"Bash", "TaskCreate", "TaskUpdate", "Agent", "AskUserQuestion"}))
SCRIPTS = {"plain": PLAIN, "other": Script("other", (Turn("Hello.", shell=("echo hello",)), Turn("Bye.")))}


def ask(offer: Offer, prompt: str, *said: str) -> Answer:
    """What comes after these answers of the model."""
    return answer(Request("m", False, offer, (prompt,), json.dumps([prompt, *said])), SCRIPTS)


def test_a_conversation_goes_through_its_script_by_the_marks_in_it_alone() -> None:
    said: list[str] = []
    used: list[str] = []
    while not said or used[-1:] != [""]:
        given = ask(CLAUDE, "Go", *said)
        said.append(given.text)
        used.append(" ".join(call.tool for call in given.calls))
    plan = ["TaskCreate TaskCreate TaskCreate", "TaskUpdate TaskUpdate", "TaskUpdate TaskUpdate TaskUpdate"]
    assert used == [plan[0], "Bash", plan[1], "Bash", plan[2], ""]


def test_after_the_last_turn_it_begins_again() -> None:
    assert ask(CLAUDE, "Go", "(turn plain 5)").number == 0


def test_the_prompt_chooses_the_script() -> None:
    assert ask(CLAUDE, f"Please {play('other')}").calls[0].arguments == {"command": "echo hello", "description": "Run it"}
    assert ask(CLAUDE, f"Please {play('none')}").script == "plain"


def test_what_an_agent_has_no_tool_for_is_passed_over() -> None:
    given = ask(Offer(frozenset({"Bash"})), "Go")
    assert (given.number, [call.tool for call in given.calls]) == (1, ["Bash"])


def test_a_plan_tool_that_is_lent_is_asked_for_once() -> None:
    offer = Offer(frozenset({"Bash", "ToolSearch"}))
    first = ask(offer, "Go")
    assert [call.tool for call in first.calls] == ["ToolSearch"]
    assert ask(offer, "Go", first.text).number == 1  # it was not lent
    assert [call.tool for call in ask(CLAUDE, "Go", first.text).calls] == ["TaskCreate"] * 3  # it was


def test_a_message_that_no_person_wrote_begins_nothing_anew() -> None:
    given = ask(CLAUDE, "<task-notification>the subagent is done", "(turn plain 5)")
    assert (given.calls, given.number) == ((), 5)


def test_a_request_without_tools_gets_a_title() -> None:
    assert ask(Offer(frozenset()), "Name this conversation") == Answer("A scripted session.")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("exec_command", {"cmd": "echo hello"}),
        ("run_shell_command", {"command": "echo hello", "description": "Run it", "is_background": False}),
        ("exec", {"command": "echo hello", "description": "Run it"}),
    ],
)
def test_the_shell_tool_is_that_of_the_agent(tool: str, arguments: dict[str, str]) -> None:
    assert ask(Offer(frozenset({tool})), play("other")).calls[0].arguments == arguments


def test_code_mode_gets_one_script_that_uses_the_tools() -> None:
    offer = Offer(frozenset({"exec"}), free_form=frozenset({"exec"}))
    (call,) = ask(offer, play("other")).calls
    assert (call.tool, call.arguments) == ("exec", 'text(await tools.exec_command({"cmd": "echo hello"}));')


def test_a_turn_with_a_condition_heeds_what_the_conversation_holds() -> None:
    turns = (
        Turn("Go.", shell=("echo",)),
        Turn("On.", shell=("echo",), unless="HALT"),
        Turn("Halted.", only_if="HALT"),
        Turn("End."),
    )
    scripts = {"heeds": Script("heeds", turns)}

    def after(*said: str) -> int:
        return answer(Request("m", False, CLAUDE, ("Go",), json.dumps(["(turn heeds 0)", *said])), scripts).number

    assert (after(), after("HALT"), after("(turn heeds 1)")) == (1, 2, 3)


@pytest.mark.parametrize(
    ("names", "tool", "arguments"),
    [
        (["mcp__clawlog__create_task"], "mcp__clawlog__create_task", {"title": "T"}),
        (["clawlog-create_task"], "clawlog-create_task", {"title": "T"}),
        (["ToolSearch"], "ToolSearch", {"query": "+clawlog", "max_results": 20}),
        (["tool_call", "tool_search"], "tool_call", {"name": "mcp__clawlog__create_task", "arguments": {"title": "T"}}),
        (["tool_call", "tool_describe"], "tool_call", {"id": "clawlog__create_task", "args": {"title": "T"}}),
        (["tool_search"], "mcp__clawlog.create_task", {"title": "T"}),
        (["Bash"], "create_task", {"title": "T"}),
    ],
)
def test_a_servers_tool_is_used_by_the_name_that_the_agent_gives_it(names: list[str], tool: str, arguments: object) -> None:
    scripts = {"mcp": Script("mcp", (Turn("I call.", calls=(("create_task", {"title": "T"}),)), Turn("End.")))}
    (call,) = answer(Request("m", False, Offer(frozenset(names)), ("Go",), "[]"), scripts).calls
    assert (call.tool, call.arguments) == (tool, arguments)

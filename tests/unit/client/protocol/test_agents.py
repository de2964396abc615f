"""The names by which hooks and the daemon mean the same session, and how little of a prompt is taken."""

from __future__ import annotations

import uuid

import pytest

from clawlog.protocol import vocabulary
from clawlog.protocol.agents import PROMPT_CHARS, agent_task_id, creation_event_id, first_line, session_file


def test_a_sessions_task_has_an_id_that_follows_from_it() -> None:
    task_id = agent_task_id("machine", 1000, "codex", "s-1")
    assert task_id == agent_task_id("machine", 1000, "codex", "s-1")
    assert (uuid.UUID(task_id).version, uuid.UUID(task_id).variant) == (5, uuid.RFC_4122)
    assert len(task_id) <= vocabulary.MAX_ID_CHARS
    others = [
        agent_task_id("machine2", 1000, "codex", "s-1"),
        agent_task_id("machine", 1001, "codex", "s-1"),
        agent_task_id("machine", 1000, "claude-code", "s-1"),
        agent_task_id("machine", 1000, "codex", "s-2"),
        creation_event_id(task_id),
    ]
    assert len({task_id, *others}) == 6


def test_the_id_stays_what_it_was() -> None:
    assert agent_task_id("machine", 1000, "codex", "s-1") == "b4de9361-c7a4-5ad0-8ae4-1f54642cf3fa"


@pytest.mark.parametrize("name", ["a", "A-z_0:9.x", "0" * 128])
def test_a_plain_id_is_a_files_name(name: str) -> None:
    assert session_file(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "ü", "0" * 129, "a\n", "\ud800"])
def test_any_other_is_made_one(name: str) -> None:
    assert session_file(name).startswith("sha256-")
    assert len(session_file(name)) == 71


@pytest.mark.parametrize(
    ("prompt", "taken"),
    [
        ("Fix it", "Fix it"),
        ("\n\n   Fix it  \nand more", "Fix it"),
        ("\x1b[31mred\x1b[0m\nmore", "red"),
        ("x" * 200, "x" * (PROMPT_CHARS - 1) + "…"),
        ("use sk-ant-abcdefghijklmnop please", "use [masked] please"),
        ("", ""),
        ("\n \n", ""),
        ("y" * 10_000_000, "y" * (PROMPT_CHARS - 1) + "…"),
        ("\n" * 10_000 + "late", ""),
    ],
)
def test_of_a_prompt_the_beginning_of_its_first_line_is_taken(prompt: str, taken: str) -> None:
    assert first_line(prompt) == taken

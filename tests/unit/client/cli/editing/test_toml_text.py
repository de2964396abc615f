"""Edits of TOML texts: comments, order, spaces and line ends stay, and a key is taken out again as it was put in."""

from __future__ import annotations

import tomllib

import pytest

from clawlog.cli.editing import toml_text
from clawlog.cli.errors import NotEditable

WHERE = ("tools", "update_plan")


@pytest.mark.parametrize(
    "text",
    [
        "",
        'model = "x" # mine\n',
        "[tools]\nweb = true  # yes\n\n[z]\nq = 1\n",
        "a = 1\r\n\r\n[tools]\r\nweb = true\r\n",
        "tools.web = true\n",
        "tools = { web = true }\n",
        "[mcp.a]\nb = 1",
        "\ufeff# first\n",
        "[[list]]\na = 1\n\n[[list]]\na = 2\n",
    ],
)
def test_a_key_is_added_and_nothing_else_is_touched(text: str) -> None:
    after = toml_text.put(text, WHERE, {"enabled": True})
    expected = tomllib.loads(text.removeprefix("\ufeff"))
    expected.setdefault("tools", {})["update_plan"] = {"enabled": True}
    assert tomllib.loads(after.removeprefix("\ufeff")) == expected
    kept = [line for line in text.splitlines() if line not in ("", "tools = { web = true }")]
    assert [line for line in kept if line not in after.splitlines()] == []
    assert ("\r\n" in text) is ("\r\n" in after)
    assert "\n" not in after.replace("\r\n", "") or "\r\n" not in text
    taken_out = tomllib.loads(toml_text.delete(after, WHERE).removeprefix("\ufeff"))
    del expected["tools"]["update_plan"]
    assert taken_out == expected


@pytest.mark.parametrize("text", ["tools = 1\n", "tools = [", "[tools]\n[tools]\n"])
def test_what_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        toml_text.put(text, WHERE, {"enabled": True})

"""Edits of JSON texts: what is added looks like its neighbours, and what was there stays as it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawlog.cli.editing import json_text
from clawlog.cli.editing.scanner import NotJson, scan
from clawlog.cli.errors import NotEditable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
styles = st.sampled_from([{"indent": 2}, {"indent": "\t"}, {"indent": 4}, {}, {"separators": (",", ":")}])


@bounded
@given(values, styles, st.booleans())
def test_every_value_is_found_where_it_stands(value: Any, style: dict[str, Any], escapes: bool) -> None:
    text = json.dumps(value, ensure_ascii=escapes, **style).replace("\ud800", "")

    def read(node: Any) -> Any:
        if node.kind == "{":
            assert all(text[start] == '"' for start in node.starts)
            return dict(zip(node.names, map(read, node.children), strict=True))
        if node.kind == "[":
            return list(map(read, node.children))
        return json.loads(text[node.start : node.end])

    assert read(scan(text)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, // why\n "b": 2}', "line 1, column 10: a comment"),
        ("/* all */ {}", "line 1, column 1: a comment"),
        ('{\n  "a": 1,\n}', "line 3, column 1: a comma before }"),
        ("[1, ]", "a comma before ]"),
        ("{'a': 1}", "a member's name"),
        ('{"a" 1}', "':' is expected"),
        ('{"a": 1', "it ends where a comma or } is expected"),
        ('{"a": NaN}', "a value is expected"),
        ('{"a": 01}', "a comma or }"),
        ('{"a": "\t"}', "a value is expected"),
        ("{} {}", "the end is expected"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(NotJson) as caught:
        scan(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "n": {\n    "x": 1\n  }\n}'),
        ("", '{\n  "n": {\n    "x": 1\n  }\n}\n'),
        (" \n", '{\n  "n": {\n    "x": 1\n  }\n}\n'),
        ('{"a": 1}', '{"a": 1, "n": {"x": 1}}'),
        ('{"a":1}\n', '{"a":1,"n":{"x":1}}\n'),
        ('{ "a": 1 }', '{ "a": 1, "n": {"x": 1} }'),
        ('{\n\t"a": 1\n}\n', '{\n\t"a": 1,\n\t"n": {\n\t\t"x": 1\n\t}\n}\n'),
        ('{\r\n    "a": 1\r\n}', '{\r\n    "a": 1,\r\n    "n": {\r\n        "x": 1\r\n    }\r\n}'),
        ('\ufeff{\n  "a": "\\u90e8"\n}', '\ufeff{\n  "a": "\\u90e8",\n  "n": {\n    "x": 1\n  }\n}'),
        ('{"a": 1,\n "b": 2}', '{"a": 1,\n "b": 2,\n "n": {\n  "x": 1\n }}'),
    ],
)
def test_a_member_looks_like_its_neighbours(before: str, after: str) -> None:
    assert json_text.put(before, (), "n", {"x": 1}) == after


def test_an_element_stands_behind_the_last_one() -> None:
    before = '{\n  "list": [\n    {"a": 1},\n    {"a": 2}\n  ],\n  "z": 1.50\n}\n'
    after = '{\n  "list": [\n    {"a": 1},\n    {"a": 2},\n    {\n      "a": 3\n    }\n  ],\n  "z": 1.50\n}\n'
    assert json_text.append(before, ("list",), {"a": 3}) == after
    assert json_text.delete(after, ("list", 2)) == before


@bounded
@given(st.dictionaries(st.text(max_size=5), values, max_size=4), styles, st.sampled_from(["", "\n", "\r\n"]), st.booleans())
def test_what_is_put_in_and_taken_out_leaves_everything_else_alone(
    tree: dict[str, Any], style: dict[str, Any], end: str, escapes: bool
) -> None:
    tree.pop("hooks", None)
    text = json.dumps(tree, ensure_ascii=escapes, **style) + end
    if end == "\r\n":
        text = text.replace("\n", "\r\n").replace("\r\r\n", "\r\n")
    with_member = json_text.put(text, (), "hooks", {"A": [{"b": "部署"}]})
    with_element = json_text.append(with_member, ("hooks", "A"), {"c": 1})
    assert json.loads(with_element) == {**json.loads(text), "hooks": {"A": [{"b": "部署"}, {"c": 1}]}}
    assert json_text.delete(with_element, ("hooks", "A", 1)) == with_member
    again = json_text.delete(with_element, ("hooks",))
    assert json.loads(again) == json.loads(text)
    assert again == text or not tree
    if "\\u" in text and text.isascii():
        assert with_element.isascii()


@pytest.mark.parametrize(("cut", "left"), [(0, '["b", "c"]'), (1, '["a", "c"]'), (2, '["a", "b"]')])
def test_what_is_taken_out_takes_its_comma_along(cut: int, left: str) -> None:
    assert json_text.delete('{"l": ["a", "b", "c"]}', ("l", cut)) == f'{{"l": {left}}}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"hooks": {}, "hooks": {}}', "'hooks' is there twice"),
        ('{"hooks": []}', "not an object"),
        ('{"hooks": null}', "not an object"),
        ("[]", "it holds no JSON object"),
        ('{"a": 1, }', "not plain JSON"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NotEditable, match=reason):
        json_text.put(text, ("hooks",), "PreToolUse", [])


def test_a_name_that_is_there_twice_elsewhere_is_no_hindrance() -> None:
    assert json_text.put('{"a": 1, "a": 2}', (), "n", True) == '{"a": 1, "a": 2, "n": true}'


def test_numbers_stay_as_they_are_written() -> None:
    text = '{"a": 1e400, "b": 1.0, "c": ' + "9" * 5000 + "}"
    assert json_text.put(text, (), "n", 2) == text[:-1] + ', "n": 2}'

"""A document is a stranger's: whatever is in it, what is read is bounded, and no path leads where it should not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawlogd.upstream.contracts.discovery import NEEDED, discover
from clawlogd.upstream.contracts.document import read_operations
from support.foreign.generated import generated_server
from support.foreign.written import StrictServer

CIRCULAR = {
    "paths": {
        "/tasks": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}}}
    },
    "components": {"schemas": {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}},
}
SELF_CONTAINING: dict[str, Any] = {
    "paths": {
        "/tasks": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}}}
    },
    "components": {
        "schemas": {
            "A": {"properties": {"a": {"$ref": "#/components/schemas/A"}, "b": {"allOf": [{"$ref": "#/components/schemas/A"}]}}}
        }
    },
}


@pytest.mark.parametrize(
    "document",
    [None, [], 1, "x", {}, {"paths": []}, {"paths": {"/a": []}}, {"paths": {1: {"get": {}}}}, CIRCULAR, SELF_CONTAINING],
)
def test_what_is_no_document_has_no_contract(document: object) -> None:
    found = discover(document)
    assert found.contract is None
    assert {each.action for each in found.missing} == set(NEEDED)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/tasks",
        "/../tasks",
        "/tasks/..",
        "/a b",
        "/tasks?x=1",
        "/tasks#x",
        "/%2e%2e/tasks",
        "http://evil.example/",
        "/t\u202eask",
        "/x" * 400,
    ],
)
def test_a_path_that_leads_elsewhere_is_no_operation(path: str) -> None:
    assert read_operations({"paths": {path: {"get": {}}}}) == []


def test_a_huge_document_is_read_in_bounded_time() -> None:
    properties = {f"member_{number}": {"anyOf": [{"$ref": "#/components/schemas/A"}] * 50} for number in range(500)}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    paths = {f"/tasks/{number}": {"post": {"requestBody": body}} for number in range(5000)}
    document = {
        "paths": paths,
        "components": {"schemas": {"A": {"properties": properties, "allOf": [{"$ref": "#/components/schemas/A"}] * 50}}},
    }
    began = time.process_time()
    assert discover(document).contract is None
    assert time.process_time() - began < 10


DOCUMENTS = [json.dumps(generated_server(seed).app.openapi()) for seed in range(12)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "allOf", "anyOf", "$ref", "items", "enum", "required", "name", "in", "schema"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_document_with_any_part_replaced_does_no_harm(data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = document
        for _ in range(data.draw(st.integers(1, 8))):
            keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key]:
                place[key] = data.draw(JSON)
                break
            place = place[key]
        else:
            if isinstance(place, dict):
                place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON)
    found = discover(document)
    assert found.contract is not None or found.missing


def test_a_required_member_that_nothing_explains_makes_the_action_useless() -> None:
    document = StrictServer().app.openapi()
    schema = document["components"]["schemas"]["Ack"]
    schema["properties"]["tenant_code"] = {"type": "string"}
    schema["required"].append("tenant_code")
    found = discover(document)
    assert found.contract is None
    assert [(each.action, each.reason) for each in found.missing] == [
        ("ack", "POST /api/v1/tasks/{task_id}/control/ack needs tenant_code, which nothing explains")
    ]

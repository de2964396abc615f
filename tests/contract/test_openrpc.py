"""The wire protocol as other languages read it: the OpenRPC document is valid, is what a daemon answers, and fits the wire."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator, Draft202012Validator

from clawlog.protocol.errors import METHOD_NOT_FOUND
from clawlogd.rpc.discovery import SERVED
from contract.test_golden_frames import REPLIES, REQUESTS
from contract.test_verbs import CONVERSATION
from support.callers import Caller, exchange

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).with_name("openrpc")
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openrpc.json").read_bytes())
METHODS = {method["name"]: method for method in DOCUMENT["methods"]}
UUID = "0196f0c0-0000-7000-8000-000000000009"
# What the conversation has in a fixed form, as it may stand in a frame.
MEANT = {"<uuid>": UUID, "<time>": "2026-01-02T03:04:05.678Z", "<backend>": "http://b:1"}
NUMBERS = ("age_s", "next_in_s", "uptime_s", "pid", "memory_bytes", "accepted_per_hour", "retried", "delivered")


def fits(schema: dict[str, Any], value: object) -> list[str]:
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    return [f"{error.instance_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def params_of(method: str) -> dict[str, Any]:
    listed = METHODS[method]["params"]
    return {
        "type": "object",
        "properties": {each["name"]: each["schema"] for each in listed},
        "required": [each["name"] for each in listed if each["required"]],
        "additionalProperties": False,
    }


def conversation() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each request of the conversation with its answer."""
    text = CONVERSATION.read_text(encoding="utf-8")
    for name in NUMBERS:
        text = text.replace(f'"<{name}>"', "1")
    for form, meant in MEANT.items():
        text = text.replace(form, meant)
    asked = [json.loads(line[2:]) for line in text.splitlines() if line.startswith("→")]
    answered = [json.loads(line[2:]) for line in text.splitlines() if line.startswith("←")]
    return list(zip(asked, answered, strict=True))


def test_the_document_is_valid_openrpc() -> None:
    meta = json.loads((DATA / "meta-schema.json").read_bytes())
    # It refers to the schema of schemas at an address; here that is the one of draft 7, and nothing is fetched.
    draft7 = Draft7Validator({"$ref": "http://json-schema.org/draft-07/schema#"})
    for schema in schemas_in(DOCUMENT):
        assert draft7.is_valid(schema), schema
    text = re.sub(
        r'"\$ref": "https://meta.json-schema.tools[^"]*"', '"type": ["object", "boolean", "string"]', json.dumps(meta)
    )
    meta = {key: value for key, value in json.loads(text).items() if key not in {"$schema", "$id"}}
    assert [error.message for error in Draft7Validator(meta).iter_errors(DOCUMENT)] == []
    assert not Draft7Validator(meta).is_valid({**DOCUMENT, "methods": [{"name": "nameless"}]})


def schemas_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [each["schema"] for method in document["methods"] for each in (*method["params"], method["result"])]
    return [*listed, *document["components"]["schemas"].values()]


def test_everything_that_it_refers_to_is_in_it() -> None:
    for name in re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(DOCUMENT)):
        kind, _, wanted = name.partition("/")
        assert wanted in DOCUMENT["components"][kind]


def test_the_file_is_what_the_code_says() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "openrpc.py"))["render"]()
    told = (ROOT / "docs" / "openrpc.json").read_text(encoding="utf-8")
    assert told == written, "python docs/openrpc.py > docs/openrpc.json writes it anew"
    assert set(METHODS) == {verb.name for verb in SERVED}


def test_its_patterns_are_those_of_every_language() -> None:
    assert r"\\A" not in json.dumps(DOCUMENT)
    assert r"\\Z" not in json.dumps(DOCUMENT)


async def test_a_daemon_answers_with_it_over_each_way_to_reach_it(any_caller: Caller) -> None:
    reply = await exchange(any_caller, {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"})
    assert reply["result"] == DOCUMENT
    assert fits(METHODS["rpc.discover"]["result"]["schema"], reply["result"]) == []


@pytest.mark.parametrize("frame", [frame for _, frame in REQUESTS], ids=[call.method for call, _ in REQUESTS])
def test_every_golden_request_fits_it(frame: str) -> None:
    request = json.loads(frame)
    assert fits(params_of(request["method"]), request["params"]) == []


def test_every_golden_reply_fits_it() -> None:
    for call, result, _ in REPLIES:
        # The clients also read what daemons answered before these members were there, and what later ones may add.
        told = {"url": None, **json.loads(result)} if call.method == "task.create" else json.loads(result)
        assert fits(METHODS[call.method]["result"]["schema"], told) == [], call.method


def test_everything_that_is_asked_and_answered_in_the_conversation_fits_it() -> None:
    names = {error["code"]: name for name, error in DOCUMENT["components"]["errors"].items()}
    for request, reply in conversation():
        if request["method"] not in METHODS:
            assert reply["error"]["code"] == METHOD_NOT_FOUND
            continue
        method = METHODS[request["method"]]
        if "error" in reply:
            listed = {each["$ref"].rpartition("/")[2] for each in method["errors"]}
            assert names[reply["error"]["code"]] in listed, request
            continue
        assert fits(params_of(request["method"]), request.get("params", {})) == [], request
        assert fits(method["result"]["schema"], reply["result"]) == [], request


def test_what_does_not_fit_is_told_from_what_does() -> None:
    assert fits(params_of("task.update"), {"task_id": "t", "status": "finished"})
    assert fits(params_of("task.update"), {"task_id": "t", "status": "done", "sumary": "typo"})
    assert fits(METHODS["task.update"]["result"]["schema"], {"accepted": True, "pending": "many"})


def test_the_notification_fits_it() -> None:
    (changed,) = DOCUMENT["x-notifications"]
    told = {"task_id": "t", "state": "requested", "interrupt_requested": True, "interrupt_id": "i", "age_s": 0.0}
    assert changed["name"] == "interrupt.changed"
    assert fits(changed["params"], told) == []
    assert fits(changed["params"], {**told, "state": "perhaps"})

"""``rpc.discover``: the wire protocol as an OpenRPC document, made from the types that the verbs themselves are read with.

Nothing is written down a second time: parameters, bounds, hints and results are those of the code, so the document cannot say
what the daemon does not do. It is here and not among the verbs, which know no JSON-RPC.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from clawlog.protocol import errors, vocabulary
from clawlogd.context import CallContext
from clawlogd.interrupts.state import InterruptStatus
from clawlogd.services import Services
from clawlogd.verbs.catalogue import VERBS
from clawlogd.verbs.fields import NoParams
from clawlogd.verbs.verb import Streamed, Verb

_REF = "#/components/schemas/{name}"
_PART_BYTES = 16 * 1024
_ANY_CALL: Final = (errors.INVALID_PARAMS, errors.INTERNAL_ERROR, errors.SHUTTING_DOWN, errors.STORAGE_FAILED, errors.TOO_LARGE)
# What the spool holds of a task comes first, and its refusal is the call's.
_ABOUT_TASKS: Final = (
    errors.UNKNOWN_TASK,
    errors.UNKNOWN_STEP,
    errors.TASK_FINISHED,
    errors.OUTBOX_FULL,
    errors.NO_OPEN_INTERRUPT,
)


class OpenRpcDocument(msgspec.Struct, frozen=True):
    """Answers ``rpc.discover``: an OpenRPC 1.3.2 document.

    Attributes:
        openrpc: The version of OpenRPC.
        info: What is described, and the version of the protocol.
        methods: The methods: parameters (by name), result, errors.
        components: The types that the methods share, and the errors.
        notifications: What the daemon sends unasked, each with the schema of its params; OpenRPC has no word for it.
    """

    openrpc: str
    info: dict[str, Any]
    methods: tuple[dict[str, Any], ...]
    components: dict[str, Any]
    notifications: tuple[dict[str, Any], ...] = msgspec.field(name="x-notifications")


def discover(services: Services, params: NoParams, context: CallContext) -> Streamed:
    """Describes every method, its parameters, its result and its errors."""
    del services, params, context
    return Streamed(_parts())


DISCOVER = Verb("rpc.discover", NoParams, OpenRpcDocument, discover, about_tasks=False)
SERVED: tuple[Verb[Any], ...] = (*VERBS, DISCOVER)
"""What a caller can ask for: the verbs, and what describes them."""


def document() -> OpenRpcDocument:
    """The document, made anew."""
    types = [*(verb.params for verb in SERVED), *(verb.result for verb in SERVED)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    kinds = {kind.__name__: kind for kind in _structs(types)}
    described = {name: _described(kinds.get(name), _portable(schema)) for name, schema in components.items()}
    results = schemas[len(SERVED) :]
    methods = tuple(_method(verb, described, result) for verb, result in zip(SERVED, results, strict=True))
    failures = {name: _error(code, name) for code, name in errors.NAMES.items()}
    for kind in {verb.params for verb in SERVED}:  # a method lists its parameters one by one
        described.pop(kind.__name__, None)
    return OpenRpcDocument(
        openrpc="1.3.2",
        info={
            "title": "clawlogd",
            "version": str(vocabulary.PROTOCOL_VERSION),
            "description": (
                "JSON-RPC 2.0 over a Unix socket, one value on each line of at most "
                f"{vocabulary.MAX_LINE_BYTES} bytes, or over ZeroMQ, one in each message. A result may get more members: "
                "pass over those that you do not know."
            ),
            "license": {"name": "MIT"},
        },
        methods=methods,
        components={"schemas": dict(sorted(described.items())), "errors": failures},
        notifications=(
            {
                "name": "interrupt.changed",
                "summary": "After interrupt.watch: each change of the task's stop, until the connection closes.",
                "params": {
                    "allOf": [{"$ref": _REF.format(name=InterruptStatus.__name__)}],
                    "properties": {"task_id": {"type": "string"}},
                    "required": ["task_id"],
                },
            },
        ),
    )


@functools.cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


def _parts() -> Iterator[bytes]:
    whole = _encoded()
    for start in range(0, len(whole), _PART_BYTES):
        yield whole[start : start + _PART_BYTES]


def _method(verb: Verb[Any], described: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    schema = described[verb.params.__name__]
    codes = (*_ABOUT_TASKS, *_ANY_CALL) if verb.about_tasks else _ANY_CALL
    needed = schema.get("required", ())
    params = [
        {"name": name, "required": name in needed, "schema": field} for name, field in schema.get("properties", {}).items()
    ]
    params.sort(key=lambda each: not each["required"])  # as OpenRPC has it: those that are needed come first
    return {
        "name": verb.name,
        "summary": _first_line(verb.handler),
        "paramStructure": "by-name",
        "params": params,
        "result": {"name": verb.result.__name__, "schema": result},
        "errors": [{"$ref": f"#/components/errors/{errors.NAMES[code]}"} for code in codes],
    }


def _error(code: int, name: str) -> dict[str, Any]:
    return {"code": code, "message": name.replace("_", " "), "data": {"code": name}}


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0].replace("``", "")


def _described(kind: type | None, schema: dict[str, Any]) -> dict[str, Any]:
    """A type's schema with its docstring taken apart: what it is, and what each attribute is."""
    if kind is None:
        return schema
    text = inspect.getdoc(kind) or ""
    attributes = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", text.partition("Attributes:\n")[2], re.MULTILINE))
    schema = {**schema, "description": text.partition("\n")[0].replace("``", "")}
    properties = {
        name: field if "description" in field or name not in attributes else {**field, "description": _plain(attributes[name])}
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "")


def _portable(schema: Any) -> Any:
    """The schema with its patterns as other languages know them: JSON Schema's are those of ECMA-262."""
    if isinstance(schema, dict):
        return {
            key: each.replace(r"\A", "^").replace(r"\Z", "$") if key == "pattern" and isinstance(each, str) else _portable(each)
            for key, each in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema


def _structs(types: list[type[msgspec.Struct]]) -> Iterator[type]:
    """Every documented type that these consist of."""
    seen: set[type] = set()
    left: list[object] = list(msgspec.inspect.multi_type_info(types))
    while left:
        info = left.pop()
        kind = getattr(info, "cls", None)
        if isinstance(kind, type):
            if kind in seen:
                continue
            seen.add(kind)
            yield kind
        for part in ("fields", "item_types", "types"):
            left += getattr(info, part, None) or ()
        left += [each for part in ("type", "item_type", "value_type") if (each := getattr(info, part, None)) is not None]

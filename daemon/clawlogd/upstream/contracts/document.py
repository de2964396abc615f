"""A server's OpenAPI document, as far as a contract is found in it: its operations, and the members that they take and answer.

The document is a stranger's: references may be circular, types wrong, names hostile, everything huge. What does not fit is left
out, and the work is bounded in operations, members and depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clawlogd.upstream.contracts import words

_MAX_OPERATIONS = 400
_MAX_MEMBERS = 60
_MAX_VARIANTS = 20
_MAX_DEPTH = 4
_MAX_WORK = 100_000
_MAX_REFERENCES = 20
_MAX_PATH_CHARS = 300
_MAX_TEXT_CHARS = 500
_PLACES = frozenset({"path", "query"})
_METHODS = ("get", "post", "put", "patch")
_PARAMETER = re.compile(r"\{([^{}/]{1,64})\}")
_SAFE_SEGMENT = re.compile(r"\A[A-Za-z0-9._~!$&'()*+,;=:@%-]*\Z")


@dataclass(frozen=True, slots=True)
class Member:
    """One named value that an operation takes or answers.

    Attributes:
        name: Its name, as the server spells it.
        place: ``path``, ``query`` or ``body``; for an answer ``answer``.
        kinds: The JSON types that fit: ``string``, ``integer``, ``number``, ``boolean``, ``object``, ``array``; empty for any.
        required: Whether it must be there.
        enum: The values that fit, where only some do.
        max_chars: The longest text.
        min_items: The fewest items.
        max_items: The most items.
        words: What the document says of it, in plain text.
        format: The format of a text.
        members: Of an object, or of an array's items: their members.
        item_kinds: Of an array: the types of its items.
        has_default: Whether the document names a value for when it is left out.
    """

    name: str
    place: str
    kinds: frozenset[str] = frozenset()
    required: bool = False
    enum: tuple[str, ...] = ()
    max_chars: int | None = None
    min_items: int = 0
    max_items: int | None = None
    words: str = ""
    format: str = ""
    members: tuple[Member, ...] = ()
    item_kinds: frozenset[str] = frozenset()
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with one method.

    Attributes:
        method: The HTTP method, in capitals.
        path: As the document has it, with parameters in braces.
        text: Operation id, summary and tags, for people and for finding words.
        members: What it takes.
        has_body: Whether it takes a JSON body.
        body_required: Whether it must have one.
        answer: What a success answers; empty where the document does not say.
        answer_is_list: Whether it answers a list.
        wrapper: The member of the body that holds all others; empty where they stand in the body itself.
    """

    method: str
    path: str
    text: str = ""
    members: tuple[Member, ...] = ()
    has_body: bool = False
    body_required: bool = False
    answer: tuple[Member, ...] = ()
    answer_is_list: bool = False
    wrapper: str = ""

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


def read_operations(document: object) -> list[Operation]:
    """The operations of a document; those that cannot be read are left out."""
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(paths, Mapping):
        return []
    reader = _Reader(document)
    found: list[Operation] = []
    for path, item in paths.items():
        if not isinstance(path, str) or not _is_path(path) or not isinstance(item, Mapping):
            continue
        for method in _METHODS:
            if isinstance(operation := item.get(method), Mapping):
                found += reader.operations(method.upper(), path, item, operation)
            if len(found) >= _MAX_OPERATIONS:
                return found[:_MAX_OPERATIONS]
    return found


def _is_path(path: str) -> bool:
    """Whether a path is one that may be requested: no dots that lead elsewhere, no query, no host."""
    if not path.startswith("/") or path.startswith("//") or len(path) > _MAX_PATH_CHARS:
        return False
    segments = _PARAMETER.sub("x", path).split("/")
    return all(_SAFE_SEGMENT.match(each) and each not in {".", ".."} and "%" not in each for each in segments)


class _Reader:
    """Reads the parts of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._work = 0  # schemas looked at: one that contains itself many times over would take for ever

    def operations(self, method: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Operation]:
        """One operation; several where its body has variants."""
        text = " ".join(_text(operation.get(key)) for key in ("operationId", "summary"))
        tags = operation.get("tags")
        text += " " + " ".join(_text(each) for each in tags[:5]) if isinstance(tags, list) else ""
        members = list(self._parameters(path, item.get("parameters"), operation.get("parameters")))
        answer, is_list = self._answer(operation)
        plain = Operation(method, path, text.strip(), tuple(members), answer=answer, answer_is_list=is_list)
        body = self._resolve(operation.get("requestBody"))
        schema = _json_schema(body)
        if schema is None:
            yield plain
            return
        required = body.get("required") is True
        for variant in self._variants(schema):
            in_body, wrapper = self._members(variant, "body", 0), ""
            if len(in_body) == 1 and words.snake(in_body[0].name) in words.WRAPPERS and "array" not in in_body[0].kinds:
                (one,) = in_body
                in_body, wrapper = (one.members, one.name) if one.members else (in_body, "")
            yield replace(plain, members=(*members, *in_body), has_body=True, body_required=required, wrapper=wrapper)

    def _parameters(self, path: str, *lists: object) -> Iterator[Member]:
        seen: set[tuple[str, str]] = set()
        given = [self._resolve(each) for some in lists if isinstance(some, list) for each in some[:_MAX_MEMBERS]]
        for each in reversed(given):  # an operation's own come before the path's
            name, place = each.get("name"), each.get("in")
            if not (isinstance(name, str) and isinstance(place, str)) or place not in _PLACES or (name, place) in seen:
                continue
            seen.add((name, place))
            member = self._member(name, each.get("schema"), place, required=each.get("required") is True, depth=0)
            yield replace(member, words=f"{_text(each.get('description'))} {member.words}".strip())
        for name in _PARAMETER.findall(path):
            if (name, "path") not in seen:
                seen.add((name, "path"))
                yield Member(name, "path", required=True)

    def _answer(self, operation: Mapping[str, Any]) -> tuple[tuple[Member, ...], bool]:
        responses = operation.get("responses")
        if not isinstance(responses, Mapping):
            return (), False
        for status in sorted(str(each) for each in responses):
            if status.startswith("2"):
                schema = self._resolve(_json_schema(self._resolve(responses.get(status))))
                if schema.get("type") == "array":
                    return self._members(self._resolve(schema.get("items")), "answer", 0), True
                return self._members(schema, "answer", 0), False
        return (), False

    def _variants(self, schema: object) -> list[Mapping[str, Any]]:
        resolved = self._resolve(schema)
        for key in ("oneOf", "anyOf"):
            if isinstance(options := resolved.get(key), list):
                found = [self._resolve(each) for each in options[:_MAX_VARIANTS]]
                objects = [each for each in found if "properties" in each or "allOf" in each]
                if objects:
                    return objects
        return [resolved]

    def _members(self, schema: Mapping[str, Any], place: str, depth: int) -> tuple[Member, ...]:
        if depth > _MAX_DEPTH:
            return ()
        members: dict[str, Member] = {}
        parts = schema.get("allOf")
        for part in [self._resolve(each) for each in parts[:_MAX_VARIANTS]] if isinstance(parts, list) else []:
            members.update((each.name, each) for each in self._members(part, place, depth + 1))
        properties, required = schema.get("properties"), schema.get("required")
        needed = {each for each in required if isinstance(each, str)} if isinstance(required, list) else set()
        if isinstance(properties, Mapping):
            for name, each in list(properties.items())[:_MAX_MEMBERS]:
                if isinstance(name, str) and 0 < len(name) <= 64:
                    members[name] = self._member(name, each, place, required=name in needed, depth=depth)
        return tuple(members.values())[:_MAX_MEMBERS]

    def _member(self, name: str, schema: object, place: str, *, required: bool, depth: int) -> Member:
        given = self._resolve(schema)
        options = self._options(given)
        kinds = frozenset(kind for each in options for kind in _kinds(each))
        enum: list[str] = []
        for each in options:
            values = [each["const"]] if "const" in each else each.get("enum")
            enum += [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
        main = next((each for each in options if each.get("type") != "null"), {})
        inner: tuple[Member, ...] = ()
        item_kinds: frozenset[str] = frozenset()
        if "array" in kinds:
            items = self._options(self._resolve(main.get("items")))
            item_kinds = frozenset(kind for each in items for kind in _kinds(each))
            objects = [each for each in items if "properties" in each or "allOf" in each]
            inner = self._members(objects[0], place, depth + 1) if objects else ()
        elif "object" in kinds or "properties" in main:
            inner = self._members(main, place, depth + 1)
        return Member(
            name,
            place,
            kinds,
            required,
            tuple(enum[:_MAX_MEMBERS]),
            _count(main.get("maxLength")),
            _count(main.get("minItems")) or 0,
            _count(main.get("maxItems")),
            " ".join(
                filter(None, (_text(given.get("title")), _text(given.get("description")), _text(main.get("description"))))
            ),
            _text(main.get("format")),
            inner,
            item_kinds,
            "default" in given or "default" in main,
        )

    def _options(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The forms that a value may have: those of a choice, or the one there is."""
        for key in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(key), list):
                return [self._resolve(each) for each in options[:_MAX_VARIANTS]]
        parts = schema.get("allOf")
        if isinstance(parts, list) and len(parts) == 1:
            return [{**self._resolve(parts[0]), **{k: v for k, v in schema.items() if k != "allOf"}}]
        return [schema]

    def _resolve(self, schema: object) -> Mapping[str, Any]:
        """What a schema stands for, through references within the document; an empty one for what is none."""
        self._work += 1
        for _ in range(_MAX_REFERENCES):
            if not isinstance(schema, Mapping) or self._work > _MAX_WORK:
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._at(reference)
        return {}

    def _at(self, reference: str) -> object:
        if not reference.startswith("#/"):
            return None
        value: object = self._document
        for token in reference[2:].split("/")[:_MAX_DEPTH]:
            value = value.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(value, Mapping) else None
        return value


def _json_schema(holder: object) -> object:
    content = holder.get("content") if isinstance(holder, Mapping) else None
    if not isinstance(content, Mapping):
        return None
    for name, media in content.items():
        if isinstance(name, str) and name.split(";")[0].strip().endswith("json") and isinstance(media, Mapping):
            return media.get("schema", {})
    return None


def _kinds(schema: Mapping[str, Any]) -> Sequence[str]:
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return () if kinds == "null" else (kinds,)
    if isinstance(kinds, list):
        return [each for each in kinds if isinstance(each, str) and each != "null"]
    return ("object",) if "properties" in schema else ()


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: object) -> str:
    return value[:_MAX_TEXT_CHARS] if isinstance(value, str) else ""

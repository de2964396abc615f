"""What a server's OpenAPI document says that it knows: words of the contract, members of bodies, and where a task's page is.

Nothing in it is believed beyond that: a document that is missing, or of another form, says nothing, and then the server's
answers tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

_SERVER = "clawlog-status-sync"
_MARK = "x-clawlog"
_MAX_WORDS = 200
_MAX_TEMPLATE_CHARS = 200
_TEMPLATE = re.compile(r"/(?!/)[A-Za-z0-9._~/-]*\{task_id\}[A-Za-z0-9._~/-]*")  # a path, so of the same origin
_PARAMETER = re.compile(r"\{[^{}/]*\}")

Route = tuple[str, str]
"""A method and a path, the parameters in it as ``{}``."""

CREATE: Route = ("post", "/api/tasks")
UPDATE_TASK: Route = ("patch", "/api/tasks/{}")
UPDATE_STEP: Route = ("patch", "/api/tasks/{}/steps/{}")
REPLACE_STEPS: Route = ("put", "/api/tasks/{}/steps")
ADD_LINK: Route = ("post", "/api/tasks/{}/links")

_ROUTES = (CREATE, UPDATE_TASK, UPDATE_STEP, REPLACE_STEPS, ADD_LINK)


class Document(msgspec.Struct, frozen=True):
    """What a server says of itself.

    Attributes:
        kinds: The kinds of events that its batch route takes; None where it does not say.
        statuses: The statuses that a task may be given; None where it does not say.
        routes: Those of the contract's plain routes that it has, with the members of their bodies, None where those are not
            listed. None where it lists no routes of the contract at all.
        task_page: The path of a task's page, with ``{task_id}`` in it; None where there is none.
        retitles: Whether a task's title may change, in an event of changed metadata.
    """

    kinds: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    routes: Mapping[Route, frozenset[str] | None] | None = None
    task_page: str | None = None
    retitles: bool = False

    def page_of(self, task_id: str) -> str | None:
        """The path of a task's page.

        Args:
            task_id: The task's id, as the server knows it.
        """
        return self.task_page.replace("{task_id}", quote(task_id, safe="")) if self.task_page else None

    def takes(self, route: Route, member: str) -> bool | None:
        """Whether a route's body may have a member; None where the document does not say."""
        if self.routes is None:
            return None
        if route not in self.routes:
            return False
        members = self.routes[route]
        return None if members is None else member in members


def read_document(body: object) -> Document:
    """Reads a decoded OpenAPI document. What does not fit is passed over."""
    if not isinstance(body, Mapping):
        return Document()
    mark = body.get(_MARK)
    mark = mark if isinstance(mark, Mapping) and mark.get("server") == _SERVER else {}
    page = mark.get("task_page")
    fits = isinstance(page, str) and len(page) <= _MAX_TEMPLATE_CHARS and _TEMPLATE.fullmatch(page) and ".." not in page
    return Document(
        kinds=_words(mark.get("kinds")),
        statuses=_words(mark.get("statuses")),
        routes=_routes(body),
        task_page=page if fits else None,
        retitles="title" in (_words(_at(mark, "members").get("metadata")) or ()),
    )


def _words(value: object) -> frozenset[str] | None:
    if not isinstance(value, list) or not value or len(value) > _MAX_WORDS or not all(isinstance(each, str) for each in value):
        return None
    return frozenset(value)


def _routes(body: Mapping[str, Any]) -> Mapping[Route, frozenset[str] | None] | None:
    paths = body.get("paths")
    if not isinstance(paths, Mapping):
        return None
    found: dict[Route, frozenset[str] | None] = {}
    for path, operations in paths.items():
        if isinstance(path, str) and isinstance(operations, Mapping):
            shape = _PARAMETER.sub("{}", path)
            for route in _ROUTES:
                if route[1] == shape and isinstance(operation := operations.get(route[0]), Mapping):
                    found[route] = _members(body, operation)
    return found if {CREATE, UPDATE_STEP} <= found.keys() else None


def _members(body: Mapping[str, Any], operation: Mapping[str, Any]) -> frozenset[str] | None:
    """The members of an operation's JSON body; None where it takes more than it lists, or lists none."""
    schema = _schema(body, _at(operation, "requestBody", "content", "application/json", "schema"))
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties or schema.get("additionalProperties"):
        return None
    return frozenset(each for each in properties if isinstance(each, str))


def _schema(body: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema, or the one of the document's components that it refers to."""
    name = schema.get("$ref")
    if not isinstance(name, str):
        return schema
    prefix, _, last = name.rpartition("/")
    return _at(body, "components", "schemas", last) if prefix == "#/components/schemas" else {}


def _at(value: object, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}

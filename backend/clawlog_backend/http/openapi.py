"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from clawlog_backend.domain.events import OF_PEOPLE, EventKind
from clawlog_backend.domain.fields import ReportedStatus
from clawlog_backend.http.examples import REQUESTS
from clawlog_backend.http.problems import ProblemDocument
from clawlog_backend.http.routes.batch import EventBatch
from clawlog_backend.http.routes.polls import Poll
from clawlog_backend.http.security import COOKIE

_REF = "#/components/schemas/{model}"
_OPEN = {"/healthz", "/readyz", "/api/session"}

_DESCRIPTION = """\
Times are RFC 3339 in UTC with milliseconds. Errors are RFC 9457 problem documents whose `code` is stable.

**Plain profile**: one route per kind of change to a task. **Batch profile**: up to 1,000 events in one request.
Both lead to the same events, so a write that is repeated under its `Idempotency-Key` (or `event_id`) changes nothing,
whichever profile it uses.

`x-clawlog` lists the kinds of events and the statuses of tasks that a batch may have, and members of kinds that came later, for
programs of other versions.

Requests may be compressed with gzip. A body has at most 1 MiB, compressed or not.
"""

_TAGS = [
    {"name": "plain", "description": "What any backend of this kind is expected to have."},
    {"name": "batch", "description": "Many events at once, and one poll for the stops of many tasks."},
    {"name": "people", "description": "For the dashboard."},
    {"name": "operations", "description": "For those who run the backend."},
]


def install(app: FastAPI, *, token_required: bool) -> None:
    """Have the application serve the whole document at its usual place."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, token_required=token_required)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def _document(app: FastAPI, *, token_required: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_schemas(ProblemDocument, EventBatch, Poll))
    for (method, path), examples in REQUESTS.items():
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["examples"] = examples
    document["x-clawlog"] = {
        "server": "clawlog-status-sync",
        "version": app.version,
        "kinds": [kind.value for kind in EventKind if kind not in OF_PEOPLE],
        "statuses": [status.value for status in ReportedStatus],
        "members": {EventKind.METADATA.value: ["title"]},
        "task_page": "/tasks/{task_id}",
    }
    if token_required:
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "logIn": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in _OPEN else [{"token": []}, {"logIn": []}]
    return document


def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    found: dict[str, Any] = schemas["$defs"]
    return found

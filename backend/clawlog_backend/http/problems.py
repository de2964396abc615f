"""Everything that can go wrong with a request, and its answer as RFC 9457 ``application/problem+json``.

A :class:`Problem` carries an HTTP status, a code that programs can rely on, and a sentence that says what was wrong and what to
do. The layers below raise errors that know nothing of HTTP (:mod:`clawlog_backend.domain.errors`): this module alone maps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from clawlog_backend.domain.errors import (
    AccessDenied,
    Busy,
    Conflict,
    DomainError,
    ForeignCursor,
    ForgedRequest,
    NotFound,
    TokenRequired,
    TooMany,
    Unavailable,
)
from clawlog_backend.storage.engines.engine import DatabaseError

MEDIA_TYPE = "application/problem+json"
CSRF_HEADER = "X-CSRF-Token"


class FieldError(BaseModel):
    """One field that does not fit."""

    field: str = Field(description="Where it is in the request, such as `steps.3.title`.")
    message: str


class ProblemDocument(BaseModel):
    """The body of every error answer (RFC 9457)."""

    type: str = Field(examples=["urn:clawlog:problem:unknown_task"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(description="Stable, for programs.", examples=["unknown_task"])
    detail: str = Field(examples=["No task has the id 't-1'."])
    field: str | None = Field(default=None, description="The first field that does not fit.")
    errors: list[FieldError] = Field(default_factory=list)


_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Problem(HTTPException):
    """A request that is answered with an error.

    Attributes:
        status_code: The HTTP status.
        code: What went wrong, for programs.
        detail: What was wrong, what was expected, what to do, for people.
        errors: The fields that do not fit.
        headers: What to send along, such as ``Retry-After``.
    """

    def __init__(
        self,
        status_code: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status_code, detail, headers)
        self.code = code
        self.errors = list(errors)

    def response(self) -> Response:
        """The answer to send."""
        document = ProblemDocument(
            type=f"urn:clawlog:problem:{self.code}",
            title=_TITLES.get(self.status_code, "Error"),
            status=self.status_code,
            code=self.code,
            detail=self.detail,
            field=self.errors[0].field if self.errors else None,
            errors=self.errors,
        )
        return Response(document.model_dump_json(), self.status_code, self.headers, MEDIA_TYPE)


def invalid(field: str, message: str) -> Problem:
    """A request in which one field does not fit (422)."""
    return Problem(422, "invalid", f"{field}: {message}", errors=[FieldError(field=field, message=message)])


def too_large(detail: str) -> Problem:
    """A request over a bound of size (413)."""
    return Problem(413, "too_large", detail)


def _retryable(status: int, code: str, detail: str, retry_after_s: int) -> Problem:
    return Problem(status, code, detail, headers={"Retry-After": str(retry_after_s)})


def problem_of(error: Exception) -> Problem:
    """The problem that an error of this backend, of the layers below or of the framework is answered with."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, error.code, str(error))
        case Conflict():
            return Problem(409, error.code, str(error))
        case ForeignCursor() | TooMany():
            return Problem(422, error.code, str(error), errors=[FieldError(field=error.field, message=str(error))])
        case Busy():
            return _retryable(429, error.code, str(error), error.retry_after_s)
        case Unavailable():
            return _retryable(503, error.code, str(error), error.retry_after_s)
        case AccessDenied():
            return _access_problem(error)
        case DatabaseError():
            return _retryable(503, Unavailable.code, "The database does not answer now.", retry_after_s=5)
        case RequestValidationError():
            return invalid_request(error)
        case HTTPException():  # of the framework itself: no such route, no such method
            code = _CODES.get(error.status_code, "error")
            return Problem(error.status_code, code, error.detail, headers=error.headers)
    return Problem(500, "internal", "The backend failed at this request; its log says why.")


def _access_problem(error: AccessDenied) -> Problem:
    match error:
        case TokenRequired():
            detail = "Send the backend's token as 'Authorization: Bearer TOKEN', or log in."
            return Problem(401, error.code, detail, headers={"WWW-Authenticate": 'Bearer realm="clawlog"'})
        case ForgedRequest():
            return Problem(403, error.code, f"A request with the log-in's cookie has to send its CSRF token as {CSRF_HEADER}.")
    return Problem(401, error.code, str(error))


def field_errors(errors: Sequence[ErrorDetails] | Sequence[Mapping[str, Any]], *, skip: int = 0) -> list[FieldError]:
    """Pydantic's findings under the names that the caller used.

    Args:
        errors: What pydantic found.
        skip: How many leading parts of each place are not the caller's, such as ``body`` or a union's tag.
    """
    found = []
    for error in errors:
        place = [str(part) for part in error["loc"]][skip:]
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "there is no such parameter here"
        found.append(FieldError(field=".".join(place) or "body", message=message))
    return found


def summarise(errors: Sequence[FieldError]) -> str:
    """The first few findings as one sentence."""
    text = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    return text if len(errors) <= 3 else f"{text}; and {len(errors) - 3} more"


def invalid_request(error: RequestValidationError) -> Problem:
    """A request that does not fit its schema (422)."""
    errors = field_errors(error.errors(), skip=1)
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return invalid("body", "expected one JSON object: " + str(error.errors()[0].get("ctx", {}).get("error", "")))
    return Problem(422, "invalid", summarise(errors), errors=errors)


def invalid_body(error: ValidationError) -> Problem:
    """A body that does not fit its schema (422)."""
    errors = field_errors(error.errors(include_url=False))
    return Problem(422, "invalid", summarise(errors), errors=errors)


_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""

    async def answer(_request: Request, error: Exception) -> Response:
        return problem_of(error).response()

    for kind in (HTTPException, RequestValidationError, DomainError, DatabaseError, Exception):
        app.add_exception_handler(kind, answer)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for the OpenAPI document."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }

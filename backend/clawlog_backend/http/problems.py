"""Everything that can go wrong with a request, and its answer as RFC 9457 ``application/problem+json``.

One small tree: a :class:`Problem` carries its HTTP status, a code that programs can rely on, and a sentence that says what was
wrong and what to do. Routes raise it; only this module turns it into a response.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


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


def unknown(what: str, identifier: str) -> Problem:
    """An id in the request that nothing has (404)."""
    return Problem(404, f"unknown_{what}", f"No {what} has the id {identifier!r}.")


def conflict(code: str, detail: str) -> Problem:
    """A request that contradicts the state of things (409)."""
    return Problem(409, code, detail)


def invalid(field: str, message: str) -> Problem:
    """A request in which one field does not fit (422)."""
    return Problem(422, "invalid", f"{field}: {message}", errors=[FieldError(field=field, message=message)])


def too_large(detail: str) -> Problem:
    """A request over a bound of size (413)."""
    return Problem(413, "too_large", detail)


def busy(detail: str, retry_after_s: int) -> Problem:
    """A request over a bound of number or rate (429)."""
    return Problem(429, "too_many_requests", detail, headers={"Retry-After": str(retry_after_s)})


def unavailable(detail: str, retry_after_s: int) -> Problem:
    """The backend cannot do its work for now (503)."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(retry_after_s)})


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
        found.append(FieldError(field=".".join(place) or "body", message=message))
    return found


def summarise(errors: Sequence[FieldError]) -> str:
    """The first few findings as one sentence."""
    text = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    return text if len(errors) <= 3 else f"{text}; and {len(errors) - 3} more"


def validation_problem(error: RequestValidationError) -> Problem:
    """A request that does not fit its schema (422)."""
    errors = field_errors(error.errors(), skip=1)
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return invalid("body", "expected one JSON object: " + str(error.errors()[0].get("ctx", {}).get("error", "")))
    return Problem(422, "invalid", summarise(errors), errors=errors)


def unfit(error: ValidationError) -> Problem:
    """A body that does not fit its schema (422)."""
    errors = field_errors(error.errors(include_url=False))
    return Problem(422, "invalid", summarise(errors), errors=errors)


_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


def install(app: FastAPI, *, passing: Mapping[type[Exception], str]) -> None:
    """Answer every error of the application as a problem document.

    Args:
        app: The application.
        passing: Faults of the backend that may pass by themselves, with what is said of them.
    """

    async def not_now(_request: Request, error: Exception) -> Response:
        return unavailable(passing[type(error)], retry_after_s=5).response()

    async def refused(_request: Request, error: Exception) -> Response:
        match error:
            case Problem():
                return error.response()
            case RequestValidationError():
                return validation_problem(error).response()
            case HTTPException():  # of the framework itself: no such route, no such method
                code = _CODES.get(error.status_code, "error")
                return Problem(error.status_code, code, error.detail, headers=error.headers).response()
        return Problem(500, "internal", "The backend failed at this request; its log says why.").response()

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, refused)
    for kind in passing:
        app.add_exception_handler(kind, not_now)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for the OpenAPI document."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }

"""Logging in to the dashboard with the backend's token."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from clawlog_backend.backend import Backend, backend_of
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.problems import Problem, documented
from clawlog_backend.http.security import COOKIE, SESSION_S, Session

router = APIRouter(prefix="/api/session", tags=["people"], route_class=JsonRoute)

TheBackend = Annotated[Backend, Depends(backend_of)]


class SessionView(BaseModel):
    """Whether somebody is logged in here, and has to be."""

    authenticated: bool
    required: bool
    csrf: str | None = Field(default=None, description="To be sent as `X-CSRF-Token` with every change.")


class LogIn(BaseModel):
    """A try to log in."""

    token: Annotated[str, Field(min_length=1, max_length=4_096, examples=["the backend's token"])]


@router.get("", responses=documented(403, 429))
async def get_session(request: Request, backend: TheBackend) -> SessionView:
    """Whether a log-in is wanted, and is there."""
    return _view(backend, backend.gatekeeper.session_of(request.headers))


@router.post("", responses=documented(401, 403, 413, 415, 422, 429))
async def log_in(body: LogIn, request: Request, response: Response, backend: TheBackend) -> SessionView:
    """Exchange the token for a cookie."""
    gatekeeper, now = backend.gatekeeper, backend.clock()
    if not gatekeeper.required:
        return _view(backend, None)
    client = request.client.host if request.client else ""
    backend.log_ins.check(client, now)
    if not gatekeeper.token_matches(body.token.strip()):
        backend.log_ins.failed(client, now)
        raise Problem(401, "wrong_token", "This is not the backend's token.")
    session = gatekeeper.log_in()
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, session.value, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
    return _view(backend, session)


@router.delete("", status_code=204, responses=documented(403, 429))
async def log_out(request: Request, backend: TheBackend) -> Response:
    """End the log-in."""
    session = backend.gatekeeper.session_of(request.headers)
    if session is not None:
        backend.gatekeeper.log_out(session)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _view(backend: Backend, session: Session | None) -> SessionView:
    required = backend.gatekeeper.required
    return SessionView(
        authenticated=session is not None or not required, required=required, csrf=session.csrf if session else None
    )

"""Logging in to the dashboard with the backend's token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from clawlog_backend.access import SESSION_S, LoginSession
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.http.security import COOKIE, session_cookie

router = APIRouter(prefix="/api/session", tags=["people"], route_class=JsonRoute)


class SessionView(BaseModel):
    """Whether this browser is logged in, and whether it has to be."""

    authenticated: bool
    required: bool
    csrf: str | None = Field(default=None, description="To be sent as `X-CSRF-Token` with every change.")


class LogIn(BaseModel):
    """An attempt to log in."""

    token: Annotated[str, Field(min_length=1, max_length=4_096, examples=["the backend's token"])]


@router.get("", responses=error_responses(403, 429))
async def get_session(request: Request, backend: BackendDep) -> SessionView:
    """Whether a log-in is required, and whether there is one."""
    session = backend.access.session(session_cookie(request.headers))
    return _view(session, required=backend.access.required)


@router.post("", responses=error_responses(401, 403, 413, 415, 422, 429))
async def log_in(body: LogIn, request: Request, response: Response, backend: BackendDep) -> SessionView:
    """Exchange the token for a cookie."""
    if not backend.access.required:
        return _view(None, required=False)
    session = await backend.logins.log_in(body.token.strip(), client=request.client.host if request.client else "")
    secure, path = request.url.scheme == "https", backend.settings.root_path or "/"
    response.set_cookie(COOKIE, session.value, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure, path=path)
    return _view(session, required=True)


@router.delete("", status_code=204, responses=error_responses(403, 429))
async def log_out(request: Request, backend: BackendDep) -> Response:
    """End the log-in."""
    session = backend.access.session(session_cookie(request.headers))
    if session is not None:
        await backend.logins.log_out(session)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", path=backend.settings.root_path or "/")
    return response


def _view(session: LoginSession | None, *, required: bool) -> SessionView:
    return SessionView(
        authenticated=session is not None or not required, required=required, csrf=session.csrf if session else None
    )

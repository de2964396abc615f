"""Makes the ASGI application: the routes, their error answers, their OpenAPI document, and the checks in front of them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from clawlog_backend import __version__
from clawlog_backend.backend import Backend
from clawlog_backend.http import openapi, problems
from clawlog_backend.http.bodies import BodyBounds
from clawlog_backend.http.limits import RateLimiter
from clawlog_backend.http.request_metrics import MetricsMiddleware
from clawlog_backend.http.root_path import RootPath
from clawlog_backend.http.routes import (
    batch,
    dashboard,
    lists,
    notifications,
    operations,
    people,
    plain,
    polls,
    session,
    stream,
)
from clawlog_backend.http.security import SecurityMiddleware


def create_app(backend: Backend) -> ASGIApp:
    """The application around a backend, which has to be open while requests are answered."""
    app = FastAPI(
        title="ClawLog",
        version=__version__,
        summary="What long-running agent tasks do, whether they live, and how to stop them.",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.backend = backend
    problems.install(app)
    openapi.install(app, token_required=backend.access.required)
    for routes in (lists, plain, batch, people, notifications, stream, session, operations, dashboard, polls):
        app.include_router(routes.router)
    app.mount("/static", dashboard.assets(), name="static")
    # Around the framework rather than within it, so that even its answer to an unexpected error has passed through them.
    settings = backend.settings
    secured = SecurityMiddleware(
        BodyBounds(polls.PollRoute(app, backend.polls)),
        access=backend.access,
        rates=RateLimiter(settings.requests_per_s),
        names=(settings.host, *settings.allowed_hosts),
        clock=backend.clock,
    )
    counted = MetricsMiddleware(secured, backend.metrics)
    return RootPath(counted, settings.root_path) if settings.root_path else counted

"""What the routes are given by the framework: the backend behind the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from clawlog_backend.backend import Backend


async def _backend(request: Request) -> Backend:
    backend = request.app.state.backend
    assert isinstance(backend, Backend)  # noqa: S101 - put there by create_app
    return backend


BackendDep = Annotated[Backend, Depends(_backend)]
"""The type of a route's parameter that receives the backend."""

"""The dashboard's files, from the package itself: nothing is fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import Problem

FOLDER = Path(__file__).resolve().parent.parent.parent / "dashboard"
# Asked for anew each time, and answered with 304 while unchanged: an upgrade is seen at once.
_CACHING = {"Cache-Control": "no-cache"}

router = APIRouter(include_in_schema=False)


def assets() -> ASGIApp:
    """The dashboard's files, compressed for clients that take that."""
    return GZipMiddleware(Assets(), minimum_size=1_400, compresslevel=6)


class Assets(StaticFiles):
    """Scripts, styles and pictures, with an ETag each."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        response = await super().get_response(path, scope)
        response.headers.update(_CACHING)
        return response


@router.get("/")
async def index(backend: BackendDep) -> Response:
    """The page, which draws every view of the dashboard."""
    page = FOLDER / "index.html"
    if not page.is_file():
        raise Problem(404, "no_dashboard", "This installation has no dashboard; the tasks are at /api/tasks.")
    if backend.settings.root_path:
        text = page.read_text(encoding="utf-8").replace('"/static/', f'"{backend.settings.root_path}/static/')
        return HTMLResponse(text, headers=_CACHING)
    return FileResponse(page, headers=_CACHING)


@router.get("/tasks/{task_id}")
async def task_page(
    task_id: Annotated[str, PathParameter()],  # noqa: ARG001 - read by the page itself
    backend: BackendDep,
) -> Response:
    """The same page: its script reads the address."""
    return await index(backend)

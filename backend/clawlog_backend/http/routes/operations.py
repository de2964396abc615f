"""For those who run the backend: is it there, does it work, and how much does it do."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select

from clawlog_backend import __version__
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.metrics import MEDIA_TYPE
from clawlog_backend.storage import schema, task_list

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/healthz", responses=error_responses(403, 429))
async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **error_responses(401, 403, 429, 503),
    },
)
async def metrics(backend: BackendDep) -> Response:
    """What the backend counts about itself."""
    now, tally = backend.clock(), backend.counts.tally()
    counts = await backend.database.read(lambda connection: task_list.count_tasks(connection, now=now, tally=tally))
    return Response(backend.metrics.text(counts), media_type=MEDIA_TYPE)


@router.get("/readyz", responses=error_responses(403, 429, 503))
async def readyz(backend: BackendDep) -> Health:
    """Whether it can do its work: the database answers."""
    await backend.database.read(lambda connection: connection.execute(select(schema.database.c.only)).one())
    return Health()

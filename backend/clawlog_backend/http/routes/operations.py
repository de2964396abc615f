"""For those who run the backend: is it there, does it work, and how much does it do."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from sqlalchemy import select

from clawlog_backend import __version__
from clawlog_backend.backend import Backend, backend_of
from clawlog_backend.http.problems import documented
from clawlog_backend.metrics import MEDIA_TYPE
from clawlog_backend.storage import queries, schema

router = APIRouter(tags=["operations"])

TheBackend = Annotated[Backend, Depends(backend_of)]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/healthz", responses=documented(403, 429))
async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **documented(401, 403, 429, 503),
    },
)
async def metrics(backend: TheBackend) -> Response:
    """What the backend counts about itself."""
    now = backend.clock()
    counts = await backend.database.read(lambda connection: queries.count_tasks(connection, now=now))
    return Response(backend.metrics.text(counts), media_type=MEDIA_TYPE)


@router.get("/readyz", responses=documented(403, 429, 503))
async def readyz(backend: TheBackend) -> Health:
    """Whether it can do its work: the database answers."""
    await backend.database.read(lambda connection: connection.execute(select(schema.database.c.only)).one())
    return Health()

"""For those who run the backend: is it there, does it work, and how much does it do."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import select

from clawlog_backend import __version__, schema
from clawlog_backend.backend import Backend, backend_of
from clawlog_backend.database import DatabaseError
from clawlog_backend.problems import documented, unavailable

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


@router.get("/readyz", responses=documented(503))
async def readyz(backend: Annotated[Backend, Depends(backend_of)]) -> Health:
    """Whether it can do its work: the database answers."""
    try:
        await backend.database.read(lambda connection: connection.execute(select(schema.database.c.only)).one())
    except DatabaseError as error:
        raise unavailable(f"The database does not answer: {error}", retry_after_s=5) from error
    return Health()

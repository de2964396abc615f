"""The list of tasks, and what it can be narrowed to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from clawlog_backend.domain import views
from clawlog_backend.domain.fields import ID_CHARS, ID_SUFFIX_CHARS, METADATA_VALUE_CHARS, TITLE_CHARS, Id
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.compression import json_answer, pack, takes_gzip
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.storage import task_list

router = APIRouter(prefix="/api/tasks", tags=["plain"], route_class=JsonRoute)

_Value = Annotated[str, Field(max_length=METADATA_VALUE_CHARS)]


class TaskFilter(BaseModel):
    """What a list of tasks is narrowed to: all of it has to be so. A value that no task has leaves nothing."""

    model_config = ConfigDict(extra="forbid")

    status: views.Filter = Field(
        default=views.Filter.ALL, description="`active`: not ended. `stopping`: a stop is open. `stale`: no sign of life."
    )
    q: Annotated[str, Field(max_length=TITLE_CHARS)] | None = Field(
        default=None, description="Text in the title, a step's title, a summary, the metadata or an id, in any case."
    )
    host: _Value | None = Field(default=None, description="The metadata's `host`.", examples=["build-7"])
    project: _Value | None = Field(default=None, description="The metadata's `project`.", examples=["infra"])
    agent: _Value | None = Field(default=None, description="The metadata's `agent`.", examples=["codex"])
    parent: Id | None = Field(default=None, description="Only the tasks that are a part of this one.")
    since: UtcMs | None = Field(default=None, description="Only tasks whose last change is not older.")
    until: UtcMs | None = Field(default=None, description="Only tasks whose last change is older.")
    attention: views.AttentionFilter | None = Field(
        default=None, description="`open`: somebody is needed. `acknowledged`: somebody has seen it. `none`: neither."
    )
    id_suffix: Annotated[str, Field(min_length=ID_SUFFIX_CHARS, max_length=ID_CHARS)] | None = Field(
        default=None, description="How the id ends.", examples=["7c11"]
    )

    def query(self) -> task_list.Query:
        """The same, as the store takes it."""
        return task_list.Query(text=self.q, **{name: getattr(self, name) for name in TaskFilter.model_fields if name != "q"})


class ListQuery(TaskFilter):
    """Which tasks to list, and how."""

    sort: views.Sort = Field(
        default=views.Sort.CREATED,
        description="`created`: the newest first. `updated`: the last change first. `attention`: what waits for a person, then "
        "what was lost, then what failed, then the rest.",
    )
    steps: bool = Field(
        default=True,
        description="`false`: tasks as the stream has them, without their steps and without nulls.",
    )
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="A page's `next_cursor`, with the same `sort`."
    )


@router.get("", response_model=views.TaskPage | views.RowPage, responses=error_responses(401, 403, 422, 429, 503))
async def list_tasks(backend: BackendDep, asked: Annotated[ListQuery, Query()], request: Request) -> Response:
    """The tasks, a page at a time, with the counts of all. A parameter that is not known is refused (422)."""
    now, packed, tally = backend.clock(), takes_gzip(request), backend.counts.tally()

    def look_up(connection: Connection) -> bytes:
        found = task_list.list_tasks(
            connection, asked.query(), now=now, limit=asked.limit, sort=asked.sort, cursor=asked.cursor, tally=tally
        )
        return pack(views.page_json.dump_json(found) if asked.steps else views.rows_json(found), packed=packed)

    return json_answer(await backend.database.read(look_up), packed=packed)

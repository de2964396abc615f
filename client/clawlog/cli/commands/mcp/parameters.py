"""What each tool takes: checked here for its shape alone, because the daemon checks the values, with better messages.

The schemas are plain (no ``anyOf`` with ``null``, no titles): some agents' models are confused by more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from clawlog.protocol.types import StepStatus

_MOST_FAULTS = 5
_MOST_CHARS = 4000
"""More than any text may have; of a longer one, such as a whole log in place of a line, the beginning is sent."""


class BadArgumentsError(Exception):
    """A tool was called with arguments of another shape; the text says which, and what it takes."""


class _PlainSchema(GenerateJsonSchema):
    """Without titles, and with what may be left out as just that."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class Parameters(BaseModel):
    """The base: a name that no tool knows is an error, never passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)

    @classmethod
    def schema_for_agents(cls) -> dict[str, Any]:
        """Returns the JSON schema."""
        schema = cls.model_json_schema(schema_generator=_PlainSchema)
        schema.pop("title", None)
        schema.pop("description", None)
        defined = schema.pop("$defs", {})
        return dict(_inlined(schema, defined))

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Any:
        """Returns the arguments of a call.

        Raises:
            BadArgumentsError: They have another shape.
        """
        given = {name: _sound(value) for name, value in arguments.items() if value is not None}  # null: as if left out
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in error.errors()[:_MOST_FAULTS]
            ]
            fields = [f"{name} (required)" if field.is_required() else name for name, field in cls.model_fields.items()]
            takes = ", ".join(fields)
            raise BadArgumentsError(f"Nothing was done: {'; '.join(faults)}. The tool takes: {takes}.") from None


def _sound(value: Any) -> Any:
    """A value whose texts have no lone surrogates, which JSON can spell and UTF-8 cannot, and no more than fits into a call."""
    if isinstance(value, str):
        return value[:_MOST_CHARS].encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sound(each) for each in value]
    return {name: _sound(each) for name, each in value.items()} if isinstance(value, dict) else value


def _inlined(schema: Any, defined: Mapping[str, Any]) -> Any:
    """The schema with each reference replaced by what it refers to."""
    if isinstance(schema, list):
        return [_inlined(each, defined) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        known = defined[schema["$ref"].rpartition("/")[2]]
        schema = {name: each for name, each in known.items() if name not in ("title", "description")}
    return {name: _inlined(each, defined) for name, each in schema.items()}


class OfTask(Parameters):
    """What is about a task that is there."""

    task_id: Annotated[str | None, Field(description="Which task. Leave it out for the one you created last.")] = None


class Counted(OfTask):
    """What may have a count."""

    done: Annotated[float | None, Field(description="How many are done, such as 318 of 2480 files.")] = None
    total: Annotated[float | None, Field(description="How many there are, where you know it.")] = None
    unit: Annotated[str | None, Field(description="Of what, such as files; at most 20 characters.")] = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.done is None and (self.total is not None or self.unit is not None):
            raise ValueError("total and unit need done as well")
        return self


class CreateTask(Parameters):
    """A new task."""

    title: Annotated[str, Field(description="What the task is, for a person to read; at most 200 characters.")]
    steps: Annotated[list[str] | None, Field(description="The titles of its steps, in order; they can be changed later.")] = (
        None
    )
    summary: Annotated[str | None, Field(description="One line about it.")] = None
    parent_task_id: Annotated[str | None, Field(description="The task that this one is a part of, if any.")] = None


class Step(Parameters):
    """A step of a plan."""

    title: Annotated[str, Field(description="What the step does.")]
    status: Annotated[StepStatus | None, Field(description="Leave it out to keep what it is.")] = None
    step_id: Annotated[str | None, Field(description="Only to rename a step: its id.")] = None


class SetPlan(OfTask):
    """The whole plan."""

    steps: Annotated[list[Step], Field(description="All steps, in the new order. One that is missing counts as skipped.")]


class UpdateStep(Counted):
    """A step's status."""

    step: Annotated[str, Field(description="The step: its title, or its number from 1, or its id.")]
    status: Annotated[StepStatus, Field(description="running when it begins; how it ended when it ends.")]
    summary: Annotated[str | None, Field(description="One line: what it came to, or why it failed.")] = None


class Heartbeat(Counted):
    """A sign of life."""

    summary: Annotated[str | None, Field(description="One line: what you are doing now.")] = None


class WaitForPerson(OfTask):
    """A question."""

    question: Annotated[str, Field(description="What a person has to answer or decide, in one line.")]


class AddLink(OfTask):
    """Something to look at."""

    url: Annotated[str, Field(description="Its address; http or https.")]
    name: Annotated[str | None, Field(description="What it is called, such as pull request.")] = None


class UpdateTask(OfTask):
    """The task's status."""

    status: Annotated[
        Literal["running", "done", "failed", "interrupted"],
        Field(
            description="done or failed at the end of the work; interrupted where you leave it unfinished; running to go on."
        ),
    ]
    summary: Annotated[str | None, Field(description="One line: the result, or what went wrong.")] = None


class AcknowledgeStop(OfTask):
    """That the task stopped."""

    summary: Annotated[str | None, Field(description="One line: where you stopped, and what is left.")] = None

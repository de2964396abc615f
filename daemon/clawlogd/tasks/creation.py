"""What a new task consists of: its steps with their ids, and the event that announces it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

from clawlog.protocol import ids, vocabulary
from clawlog.protocol.addresses import canonical
from clawlog.protocol.summary import one_line
from clawlogd.clock import rfc3339
from clawlogd.errors import InvalidValue, TooManyTasks
from clawlogd.model import Event, EventKind, NewStep, Step, Task, WatchedProcess
from clawlogd.tasks.change import TaskChange
from clawlogd.tasks.registry import Registry
from clawlogd.text import clean_title

T = TypeVar("T", str, str | None)

METADATA_HINT = (
    f"expected at most {vocabulary.MAX_METADATA_PAIRS} pairs of strings, keys of 1 to {vocabulary.MAX_METADATA_KEY_CHARS} "
    f"characters and values of at most {vocabulary.MAX_METADATA_CHARS}"
)


def check_room(registry: Registry, task_id: str, max_known: int) -> None:
    """Checks that a task with this id may be added.

    Raises:
        TooManyTasks: As many are known as may be.
        InvalidValue: There is one with this id.
    """
    if len(registry) >= max_known:
        raise TooManyTasks(len(registry))
    if registry.find(task_id) is not None:
        raise InvalidValue("task_id", f"a task {task_id!r} exists already", "choose another, or leave it out")


def create(
    *,
    task_id: str,
    event_id: str,
    at_ms: int,
    title: str,
    base_url: str,
    steps: Sequence[tuple[str | None, str]],
    summary: str | None,
    lease_s: float,
    watched: WatchedProcess | None,
    metadata: dict[str, str],
    parent_task_id: str | None = None,
) -> TaskChange:
    """Decides on a new task.

    Args:
        task_id: Its id.
        event_id: The event's id.
        at_ms: When it was created, in milliseconds since 1970.
        title: As the caller gave it.
        base_url: Its backend, see ``checked_base_url``.
        steps: The id of each, None where the caller chose none, and its title as the caller gave it.
        summary: One line, cleaned.
        lease_s: For how long one command is evidence of life.
        watched: The process whose end means that its agent is gone.
        metadata: Its pairs, see ``clean_pairs``.
        parent_task_id: The task that it is a part of.

    Raises:
        InvalidValue: The title or a step does not fit.
    """
    title = visible_title(title)
    made = _steps(task_id, steps)
    task = Task(
        task_id=task_id,
        title=title,
        base_url=base_url,
        created_ms=at_ms,
        steps=made,
        summary=summary,
        lease_s=lease_s,
        seen_ms=at_ms,
        watched=watched,
        metadata=metadata,
        parent_task_id=parent_task_id,
    )
    event = Event(
        event_id=event_id,
        task_id=task_id,
        kind=EventKind.TASK_CREATED,
        at=rfc3339(at_ms),
        summary=summary,
        title=title,
        steps=tuple(NewStep(step.step_id, step.title) for step in made),
        metadata=metadata or None,
        parent_task_id=parent_task_id,
    )
    return TaskChange(event, task, steps=made)


def visible_title(text: str) -> str:
    """A title, cleaned.

    Raises:
        InvalidValue: Nothing is left of it.
    """
    title = clean_title(text)
    if not title:
        raise InvalidValue("title", "holds nothing that can be shown", "expected at least one visible character")
    return title


@lru_cache(maxsize=128)  # it is asked for at each creation, of few backends
def checked_base_url(text: str) -> str:
    """A backend's address, in its one form.

    Raises:
        InvalidValue: It is none, or holds what does not belong there.
    """
    hint = "expected something like http://localhost:8000"
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise InvalidValue("base_url", str(error), hint) from None
    if url.scheme not in {"http", "https"} or not host or any(c.isspace() or not c.isprintable() for c in text):
        raise InvalidValue("base_url", "is not an http:// or https:// address", hint)
    if url.username or url.password:
        raise InvalidValue("base_url", "holds credentials", "put the token into CLAWLOG_TOKEN_FILE or CLAWLOG_TOKEN")
    if url.query or url.fragment:
        raise InvalidValue("base_url", "has a query or a fragment", hint)
    return canonical(text)


def clean_pairs(metadata: Mapping[str, T]) -> dict[str, T]:
    """A caller's pairs, cleaned; a value of None stays None.

    Raises:
        InvalidValue: Nothing is left of a key, or two become the same.
    """
    pairs = {one_line(key): one_line(value) if isinstance(value, str) else value for key, value in metadata.items()}
    if "" in pairs:
        raise InvalidValue("metadata", "a key has nothing that can be shown", METADATA_HINT)
    if len(pairs) < len(metadata):
        raise InvalidValue("metadata", "two keys differ in characters alone that cannot be shown", METADATA_HINT)
    return pairs


def _steps(task_id: str, given: Sequence[tuple[str | None, str]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for position, (step_id, text) in enumerate(given, start=1):
        title = clean_title(text)
        if not title:
            raise InvalidValue("steps", f"step {position} has nothing that can be shown", "expected a title")
        steps.append(Step(step_id or ids.step_id(task_id, position), position, title))
    if len({step.step_id for step in steps}) < len(steps):
        raise InvalidValue("steps", "two steps have the same step_id", "expected each to be different")
    return tuple(steps)

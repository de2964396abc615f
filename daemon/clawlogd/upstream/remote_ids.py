"""The ids that a server gives to a created task and its steps, where it does not take those that it is offered.

Which of the listed steps is which is told by their positions, else by their titles. One that neither tells stays unmapped: what
is reported of it must not be taken for another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlogd.model import UNMAPPED, Event, NewStep
from clawlogd.upstream.answers import read_id


@dataclass(frozen=True, slots=True)
class RemoteIds:
    """How a server names a task and its steps.

    Attributes:
        task_id: The task's id there; None where it took the one that it was offered.
        steps: The steps' ids there, by position; None for one that it took as offered, ``UNMAPPED`` for one that could not be
            told from others. Empty where nothing is said of steps.
    """

    task_id: str | None
    steps: tuple[str | None, ...]


def read_remote_ids(event: Event, body: object) -> RemoteIds:
    """Reads the answer to a created task.

    Args:
        event: The creation.
        body: The answer's body, decoded; the ids themselves, where they have been read as the server's own contract says.
    """
    if isinstance(body, RemoteIds):
        return body
    if not isinstance(body, Mapping):
        return RemoteIds(None, ())
    task_id = read_id(body.get("task_id", body.get("id")))
    offered = event.steps or ()
    listed = body.get("steps")
    steps = match_steps(offered, listed) if offered and listed is not None else ()
    return RemoteIds(task_id if task_id != event.task_id else None, steps)


def read_plan_ids(offered: Sequence[NewStep], new: Collection[str], body: object, *, own_ids: bool) -> dict[str, str | None]:
    """Reads the answer to a changed plan: how the server names the steps that it learned of.

    Args:
        offered: All steps as they were sent: those that it knew by its ids.
        new: The ids under which it was offered the others.
        body: The answer's body, decoded.
        own_ids: Whether the server is known to name steps by ids of its own.

    Returns:
        For each new step its id there: None for one that it took as offered, ``UNMAPPED`` where it cannot be told.
    """
    listed = body.get("steps") if isinstance(body, Mapping) else body
    if not isinstance(listed, list):
        return dict.fromkeys(new, UNMAPPED if own_ids else None)
    remote = match_steps(offered, listed)
    return {step.step_id: each for step, each in zip(offered, remote, strict=True) if step.step_id in new}


def match_steps(offered: Sequence[NewStep], listed: object) -> tuple[str | None, ...]:
    """The ids that a server gave to steps: None for one that it took as offered, ``UNMAPPED`` where that is not known.

    Args:
        offered: The steps, in order.
        listed: The server's list of them, each with ``step_id`` (or ``id``), ``position`` and ``title`` as far as it has them.
    """
    nothing = (UNMAPPED,) * len(offered)
    if not isinstance(listed, list) or len(listed) != len(offered) or not all(isinstance(each, Mapping) for each in listed):
        return nothing
    ids = [read_id(each.get("step_id", each.get("id"))) for each in listed]
    if None in ids or len(set(ids)) < len(ids):
        return nothing
    taken = [step.step_id in ids for step in offered]
    if all(taken):
        return (None,) * len(offered)  # it took the ids, in whatever order it lists them
    by_position, by_title = _by_position(listed), _by_title(offered, listed)
    if by_position is None:
        places = by_title
    elif any(place is not None and by_position[number] != place for number, place in enumerate(by_title)):
        return nothing  # the two contradict each other
    else:
        places = by_position
    remote = (UNMAPPED if place is None else ids[place] for place in places)
    return tuple(None if each == step.step_id else each for each, step in zip(remote, offered, strict=True))


def _by_position(listed: Sequence[Mapping[str, Any]]) -> list[int | None] | None:
    """Where each step, in order, stands in the list, by the positions there; None where they are no whole numbering."""
    positions = [_digits(each.get("position")) for each in listed]
    first = min((each for each in positions if each is not None), default=None)
    if first not in {0, 1} or sorted(positions, key=lambda each: -1 if each is None else each) != list(
        range(first, first + len(listed))
    ):
        return None
    return [positions.index(first + number) for number in range(len(listed))]


def _by_title(offered: Sequence[NewStep], listed: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Where each step, in order, stands in the list, by titles that stand once on both sides; None for the others."""
    titles = [each.get("title") for each in listed]
    ours, theirs = Counter(step.title for step in offered), Counter(each for each in titles if isinstance(each, str))
    return [titles.index(step.title) if ours[step.title] == theirs[step.title] == 1 else None for step in offered]


def _digits(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 10**6 else None
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None

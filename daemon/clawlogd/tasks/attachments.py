"""What an agent puts beside its task while it works: links, and changed metadata."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.summary import one_line
from clawlogd.clock import rfc3339
from clawlogd.errors import InvalidValue
from clawlogd.model import Event, EventKind, Link, Task
from clawlogd.tasks.change import TaskChange, refuse_finished
from clawlogd.tasks.creation import METADATA_HINT, clean_pairs

URL_HINT = f"expected an http:// or https:// address of at most {vocabulary.MAX_URL_CHARS} characters, without credentials"

_NEVER_IN_ADDRESSES = frozenset('\\"<>')


def annotate(task: Task, metadata: Mapping[str, str | None], *, event_id: str, at_ms: int) -> TaskChange:
    """Changes some of a task's pairs.

    Args:
        task: The task.
        metadata: The pairs to set, as the caller gave them; None removes one.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.

    Raises:
        TaskFinished: The agent has ended the task.
        InvalidValue: A key does not fit, or there would be too many pairs.
    """
    refuse_finished(task)
    changed = clean_pairs(metadata)
    pairs = {key: value for key, value in {**task.metadata, **changed}.items() if value is not None}
    if len(pairs) > vocabulary.MAX_METADATA_PAIRS:
        raise InvalidValue("metadata", f"the task would have {len(pairs)} pairs", METADATA_HINT)
    event = Event(event_id=event_id, task_id=task.task_id, kind=EventKind.METADATA, at=rfc3339(at_ms), metadata=changed)
    return TaskChange(event, msgspec.structs.replace(task, metadata=pairs))


def retitle(task: Task, title: str, *, event_id: str, at_ms: int) -> TaskChange:
    """Gives a task another title: what it is about was not known when it was created.

    Args:
        task: The task.
        title: The title, cleaned.
        event_id: The event's id.
        at_ms: When that was, in milliseconds since 1970.
    """
    at = rfc3339(at_ms)
    event = Event(event_id=event_id, task_id=task.task_id, kind=EventKind.METADATA, at=at, title=title, metadata={})
    return TaskChange(event, msgspec.structs.replace(task, title=title))


def link(task: Task, url: str, name: str | None, *, event_id: str, at_ms: int) -> TaskChange:
    """Adds a link. An address that is there already gets the new name.

    Args:
        task: The task.
        url: As the caller gave it.
        name: What it is called, as the caller gave it.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.

    Raises:
        TaskFinished: The agent has ended the task.
        InvalidValue: The address does not fit, the name has nothing that can be shown, or there would be too many links.
    """
    refuse_finished(task)
    refuse_unfit(url)
    if name is not None and not (name := one_line(name)):
        raise InvalidValue("name", "holds nothing that can be shown", "expected at least one visible character")
    added = Link(url, name)
    if any(each.url == url for each in task.links):
        links = tuple(added if each.url == url else each for each in task.links)
    else:
        links = (*task.links, added)
    if len(links) > vocabulary.MAX_LINKS:
        raise InvalidValue(
            "url", f"the task has {vocabulary.MAX_LINKS} links already", "name one of them anew, or leave it out"
        )
    event = Event(event_id=event_id, task_id=task.task_id, kind=EventKind.LINK, at=rfc3339(at_ms), name=name, url=url)
    return TaskChange(event, msgspec.structs.replace(task, links=links))


def refuse_unfit(url: str) -> None:
    """Refuses an address that is not fit to be opened from a page.

    Raises:
        InvalidValue: It is of another scheme, has no host, holds credentials or what no address may hold.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValue("url", str(error), URL_HINT) from None
    if any(each.isspace() or not each.isprintable() or each in _NEVER_IN_ADDRESSES for each in url):
        raise InvalidValue("url", "holds white space, quotes, backslashes, angle brackets or what cannot be shown", URL_HINT)
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidValue("url", "is not an http:// or https:// address", URL_HINT)
    if parts.username is not None or parts.password is not None:
        raise InvalidValue("url", "holds credentials", URL_HINT)

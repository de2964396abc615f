"""``task.annotate`` and ``task.link``: what an agent puts beside its task."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlogd.context import CallContext
from clawlogd.model import EventKind
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks import attachments
from clawlogd.verbs.changes import Accepted, accept
from clawlogd.verbs.fields import EventId, Key, KnownId, Params, Value, hint
from clawlogd.verbs.verb import Durable, Verb

_MOST_CHANGES = 2 * vocabulary.MAX_METADATA_PAIRS  # all pairs replaced by as many others


class TaskAnnotate(Params, frozen=True):
    """``task.annotate``."""

    task_id: KnownId
    metadata: Annotated[
        dict[Key, Value | None],
        Meta(min_length=1, max_length=_MOST_CHANGES),
        hint(
            f"expected pairs of strings, keys of 1 to {vocabulary.MAX_METADATA_KEY_CHARS} characters and values of at most "
            f"{vocabulary.MAX_METADATA_CHARS}, or null to remove a pair"
        ),
    ]
    event_id: EventId | None = None


def annotate(services: Services, params: TaskAnnotate, context: CallContext) -> Durable:
    """Changes some of a task's pairs; the others stay."""
    task = services.registry.get(params.task_id)
    change = attachments.annotate(task, params.metadata, event_id=params.event_id or new_uuid(), at_ms=context.at_ms)
    return accept(services, change, context, truncated=False)


class TaskLink(Params, frozen=True):
    """``task.link``."""

    task_id: KnownId
    url: Annotated[str, Meta(min_length=1, max_length=vocabulary.MAX_URL_CHARS), hint(attachments.URL_HINT)]
    name: (
        Annotated[
            str,
            Meta(min_length=1, max_length=vocabulary.MAX_LINK_NAME_CHARS),
            hint(f"expected 1 to {vocabulary.MAX_LINK_NAME_CHARS} characters"),
        ]
        | None
    ) = None
    event_id: EventId | None = None


def link(services: Services, params: TaskLink, context: CallContext) -> Durable:
    """Adds a link to a task. An address that is there already gets the new name."""
    task = services.registry.get(params.task_id)
    change = attachments.link(task, params.url, params.name, event_id=params.event_id or new_uuid(), at_ms=context.at_ms)
    return accept(services, change, context, truncated=False)


def _annotates(services: Services, params: TaskAnnotate) -> Intent:
    del services
    return Intent(EventKind.METADATA, task_id=params.task_id)


def _links(services: Services, params: TaskLink) -> Intent:
    del services
    return Intent(EventKind.LINK, task_id=params.task_id)


ANNOTATE = Verb("task.annotate", TaskAnnotate, Accepted, annotate, intent=_annotates)
LINK = Verb("task.link", TaskLink, Accepted, link, intent=_links)

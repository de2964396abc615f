"""``deadletter.list``, ``deadletter.retry``, ``deadletter.drop``: what a backend refused, for a person to decide on."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from clawlogd.clock import rfc3339
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.model import Event
from clawlogd.outbox.records import BlockedEvent, DeadLetter, creates_task
from clawlogd.outbox.schema import EventState
from clawlogd.outbox.store import Store
from clawlogd.services import Services
from clawlogd.text import clean_text
from clawlogd.verbs.fields import Flag, NoParams, Params, hint
from clawlogd.verbs.verb import Verb

MAX_REPLY_CHARS = 500
_decode = msgspec.json.Decoder(Event).decode

Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")]


class DeadLetterChoice(Params, frozen=True):
    """``deadletter.retry`` and ``deadletter.drop``: some dead letters, or all."""

    event_ids: (
        Annotated[
            list[Uuid],
            Meta(min_length=1, max_length=1000),
            hint("expected 1 to 1,000 event ids, as deadletter.list gives them"),
        ]
        | None
    ) = None
    all: Flag = False


class DeadLetterView(msgspec.Struct, frozen=True):
    """A dead letter."""

    event_id: str
    task_id: str
    kind: str
    at: str | None
    backend_status: int | None
    backend_reply: str
    refused_at: str
    waiting_behind: int


class DeadLetters(msgspec.Struct, frozen=True):
    """Answers the verbs of dead letters: what there is, or what was changed."""

    dead_letters: tuple[DeadLetterView, ...]


async def list_(services: Services, params: NoParams, context: CallContext) -> DeadLetters:
    """Lists the dead letters, oldest first."""
    del params, context
    letters = await services.outbox.read(lambda store: [(dead, len(_behind(store, dead))) for dead in store.dead()])
    return DeadLetters(tuple(_view(dead, behind) for dead, behind in letters))


async def retry(services: Services, params: DeadLetterChoice, context: CallContext) -> DeadLetters:
    """Sends dead letters again, with what is held behind them."""
    del context
    return await _decide(services, params, EventState.PENDING)


async def drop(services: Services, params: DeadLetterChoice, context: CallContext) -> DeadLetters:
    """Drops dead letters, with what is held behind them: it could never be delivered."""
    del context
    return await _decide(services, params, EventState.SETTLED)


async def _decide(services: Services, params: DeadLetterChoice, to: EventState) -> DeadLetters:
    if (params.event_ids is not None) is params.all:
        raise InvalidValue("event_ids", "either event_ids or all must be given, and not both", "list them, or say all: true")
    wanted = None if params.event_ids is None else [bytes.fromhex(each.replace("-", "")) for each in params.event_ids]
    async with services.outbox.deciding:  # two operators at once must not decide on one event twice
        return await _decide_on(services, params, wanted, to)


async def _decide_on(services: Services, params: DeadLetterChoice, wanted: list[bytes] | None, to: EventState) -> DeadLetters:
    chosen = await services.outbox.read(lambda store: [(dead, _behind(store, dead)) for dead in store.dead(wanted)])
    if wanted is not None and len(chosen) < len(set(wanted)):
        found = {dead.event_id for dead, _ in chosen}
        missing = next(each for each, raw in zip(params.event_ids or (), wanted, strict=True) if raw not in found)
        raise InvalidValue("event_ids", f"{missing} is not a dead letter", "take the ids from deadletter.list")
    for dead, behind in chosen:
        for event, was in ((dead, EventState.DEAD), *((each, EventState.HELD) for each in behind)):
            if to is EventState.SETTLED:
                services.outbox.settle(event.seq, event.task_id, event.lane, event.size_bytes, was)
            else:
                services.outbox.move(event.seq, event.lane, was, to)
    services.outbox.after_commit(lambda: _release(services, {dead.task_id for dead, _ in chosen}))
    await asyncio.shield(services.outbox.committed())
    return DeadLetters(tuple(_view(dead, len(behind)) for dead, behind in chosen))


def _release(services: Services, task_ids: set[str]) -> None:
    for lane in services.backends:
        for task_id in task_ids:
            lane.requeue(task_id)


def _behind(store: Store, dead: DeadLetter) -> list[BlockedEvent]:
    """The events that are held behind a dead letter: those of a task whose creation was refused."""
    return store.held(dead.lane, dead.task_id) if creates_task(dead.body) else []


def _view(dead: DeadLetter, waiting_behind: int) -> DeadLetterView:
    reply = clean_text(dead.reply, MAX_REPLY_CHARS)  # one of an earlier version may be as it came
    try:
        event = _decode(dead.body)
    except msgspec.DecodeError:  # a damaged record
        return DeadLetterView(
            str(UUID(bytes=dead.event_id)),
            dead.task_id,
            "damaged",
            None,
            None,
            reply,
            rfc3339(dead.at_ms),
            0,
        )
    return DeadLetterView(
        event_id=event.event_id,
        task_id=dead.task_id,
        kind=event.kind,
        at=event.at,
        backend_status=dead.status,
        backend_reply=reply,
        refused_at=rfc3339(dead.at_ms),
        waiting_behind=waiting_behind,
    )


LIST = Verb("deadletter.list", NoParams, DeadLetters, list_, about_tasks=False)
RETRY = Verb("deadletter.retry", DeadLetterChoice, DeadLetters, retry, about_tasks=False)
DROP = Verb("deadletter.drop", DeadLetterChoice, DeadLetters, drop, about_tasks=False)

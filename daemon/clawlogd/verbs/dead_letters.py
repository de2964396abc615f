"""``deadletter.list``, ``deadletter.retry``, ``deadletter.drop``: what a backend would not take, for a person to decide on."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec

from clawlog.protocol.errors import invalid_params
from clawlogd.clock import rfc3339
from clawlogd.model import Event
from clawlogd.outbox.records import BlockedEvent, DeadLetter, creates_task
from clawlogd.outbox.schema import EventState
from clawlogd.outbox.store import Store
from clawlogd.services import Call, Services
from clawlogd.verbs.params import DeadLetterChoice, NoParams
from clawlogd.verbs.results import DeadLetters, DeadLetterView

_decode = msgspec.json.Decoder(Event).decode


async def list_(services: Services, params: NoParams, call: Call) -> DeadLetters:
    """Lists the dead letters, oldest first."""
    del params, call
    letters = await services.outbox.read(lambda store: [(dead, len(_behind(store, dead))) for dead in store.dead()])
    return DeadLetters(tuple(_view(dead, behind) for dead, behind in letters))


async def retry(services: Services, params: DeadLetterChoice, call: Call) -> DeadLetters:
    """Sends dead letters again, with what waits behind them."""
    del call
    return await _decide(services, params, EventState.PENDING)


async def drop(services: Services, params: DeadLetterChoice, call: Call) -> DeadLetters:
    """Gives dead letters up, with what waits behind them: it could never be delivered."""
    del call
    return await _decide(services, params, EventState.SETTLED)


async def _decide(services: Services, params: DeadLetterChoice, to: EventState) -> DeadLetters:
    if (params.event_ids is not None) is params.all:
        raise invalid_params("event_ids", "either event_ids or all must be given, and not both", "list them, or say all: true")
    wanted = None if params.event_ids is None else [bytes.fromhex(each.replace("-", "")) for each in params.event_ids]
    async with services.outbox.deciding:  # two operators at once must not settle one event twice
        return await _decide_on(services, params, wanted, to)


async def _decide_on(services: Services, params: DeadLetterChoice, wanted: list[bytes] | None, to: EventState) -> DeadLetters:
    chosen = await services.outbox.read(lambda store: [(dead, _behind(store, dead)) for dead in store.dead(wanted)])
    if wanted is not None and len(chosen) < len(set(wanted)):
        found = {dead.event_id for dead, _ in chosen}
        missing = next(each for each, raw in zip(params.event_ids or (), wanted, strict=True) if raw not in found)
        raise invalid_params("event_ids", f"{missing} is not a dead letter", "take the ids from deadletter.list")
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
    return store.held(dead.lane, dead.task_id) if creates_task(dead.body) else []


def _view(dead: DeadLetter, waiting_behind: int) -> DeadLetterView:
    try:
        event = _decode(dead.body)
    except msgspec.DecodeError:  # a damaged record
        return DeadLetterView(
            str(UUID(bytes=dead.event_id)), dead.task_id, "damaged", None, None, dead.reply, rfc3339(dead.at_ms), 0
        )
    return DeadLetterView(
        event_id=event.event_id,
        task_id=dead.task_id,
        kind=event.kind,
        at=event.at,
        backend_status=dead.status,
        backend_reply=dead.reply,
        refused_at=rfc3339(dead.at_ms),
        waiting_behind=waiting_behind,
    )

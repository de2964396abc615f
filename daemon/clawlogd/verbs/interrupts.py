"""``interrupt.check``, ``interrupt.watch``, ``interrupt.ack``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated

import anyio
import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue, StorageFailed
from clawlogd.interrupts.state import InterruptStatus
from clawlogd.model import EventKind, Interrupt
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks.updates import acknowledge, answers_a_stop
from clawlogd.text import clean_summary
from clawlogd.verbs.changes import Accepted, accept
from clawlogd.verbs.fields import EventId, KnownId, Params, SummaryText, TaskChoice, hint
from clawlogd.verbs.verb import Durable, Verb

_REFRESH_S = 1.0  # how long the backend is given to answer what it knows now


class InterruptCheck(Params, frozen=True):
    """``interrupt.check``."""

    task_id: KnownId
    max_age_s: Annotated[float, Meta(ge=0, le=86_400), hint("expected seconds from 0")] = vocabulary.DEFAULT_MAX_AGE_S
    wait_s: Annotated[float, Meta(ge=0, le=vocabulary.MAX_WAIT_S), hint(f"expected 0 to {vocabulary.MAX_WAIT_S:g} seconds")] = (
        0.0
    )


def check(services: Services, params: InterruptCheck, context: CallContext) -> InterruptStatus | Awaitable[InterruptStatus]:
    """Answers whether a stop is requested: from memory while that is fresh enough, else from the backend.

    A check that waits is how others wait for an agent's stop, so it is no sign that the agent lives.
    """
    task = services.registry.get(params.task_id)
    if not task.status.ended and not params.wait_s:
        services.liveness.record_command(task, at_ms=context.spooled_at_ms)
    state = services.interrupts.status(task, params.max_age_s)
    if params.wait_s or state.unknown or state.interrupt_requested:
        return _check(services, params)
    return state


def check_from_memory(services: Services, params: InterruptCheck) -> InterruptStatus | None:
    """Answers that no stop is requested of a task that goes on, where that is known and fresh enough.

    Nothing that an agent reports, now or in the spool, makes it another answer: it can acknowledge a stop or end its task, not
    be asked to stop.
    """
    task = services.registry.find(params.task_id)
    if task is None or task.interrupt is not None or not task.live or params.wait_s:
        return None
    state = services.interrupts.status(task, params.max_age_s)
    if state.unknown:
        return None
    services.liveness.record_command(task)
    return state


async def _check(services: Services, params: InterruptCheck) -> InterruptStatus:
    if params.wait_s:
        await _wait_for_stop(services, params.task_id, params.wait_s)
    state = await _fresh_state(services, params.task_id, params.max_age_s)
    if state.interrupt_requested:
        await _record_delivery(services, params.task_id)
    return state


async def _fresh_state(services: Services, task_id: str, max_age_s: float) -> InterruptStatus:
    """What is known of a task's stop; asks the backend where that is older than allowed."""
    task = services.registry.get(task_id)
    state = services.interrupts.status(task, max_age_s)
    if not state.unknown:
        return state
    answered = await services.backends.watcher(task.base_url).refresh(task, _REFRESH_S)
    # What the backend has just answered is fresh, however little age the caller allows.
    return services.interrupts.status(services.registry.get(task_id), None if answered else max_age_s)


async def _wait_for_stop(services: Services, task_id: str, wait_s: float) -> None:
    requested = asyncio.Event()
    end = services.interrupts.subscribe(task_id, lambda state: requested.set() if state.interrupt_requested else None)
    try:
        # Read after the subscription: a stop that arrives between the two would be missed.
        if services.interrupts.status(services.registry.get(task_id)).interrupt_requested:
            return
        with anyio.move_on_after(wait_s):
            await requested.wait()
    finally:
        end()


async def _record_delivery(services: Services, task_id: str) -> None:
    """Records that the stop is delivered to the agent. It is, even where that cannot be recorded."""
    if services.interrupts.mark_delivered(task_id):
        try:
            await asyncio.shield(services.outbox.committed())
        except StorageFailed:
            return


def watch(services: Services, params: TaskChoice, context: CallContext) -> Awaitable[InterruptStatus]:
    """Answers as ``interrupt.check`` does, and then pushes each change until the connection closes."""
    services.registry.get(params.task_id)
    session = context.session
    if session is None:
        raise InvalidValue("task_id", "cannot be watched from the spool", "watch over a connection")

    def push(state: InterruptStatus) -> None:
        session.notify("interrupt.changed", {"task_id": params.task_id, **msgspec.to_builtins(state)})
        if state.interrupt_requested:
            # Not at once: this is called while the stop itself is being entered.
            asyncio.get_running_loop().call_soon(services.interrupts.mark_delivered, params.task_id)

    session.at_close(f"watch {params.task_id}", services.interrupts.subscribe(params.task_id, push))
    return _first_state(services, params.task_id)


async def _first_state(services: Services, task_id: str) -> InterruptStatus:
    state = await _fresh_state(services, task_id, vocabulary.DEFAULT_MAX_AGE_S)
    if state.interrupt_requested:
        services.interrupts.mark_delivered(task_id)
    return state


class InterruptDelivered(Params, frozen=True):
    """``interrupt.delivered``."""

    task_id: KnownId
    interrupt_id: Annotated[
        str,
        Meta(min_length=1, max_length=vocabulary.MAX_ID_CHARS),
        hint("expected the id of the stop, as interrupt.check gives it"),
    ]


class DeliveryNoted(msgspec.Struct, frozen=True):
    """Answers ``interrupt.delivered``.

    Attributes:
        accepted: True.
        news: Whether it was not known yet that the agent knows of this stop.
    """

    accepted: bool
    news: bool


async def delivered(services: Services, params: InterruptDelivered, context: CallContext) -> DeliveryNoted:
    """Records that an agent has read of its stop where it cannot ask. One that is another by now is not delivered by that."""
    task = services.registry.get(params.task_id)
    if not task.status.ended:
        services.liveness.record_command(task, at_ms=context.spooled_at_ms)
    if task.interrupt is None or task.interrupt.interrupt_id != params.interrupt_id:
        return DeliveryNoted(accepted=True, news=False)
    news = services.interrupts.mark_delivered(params.task_id)
    if news and context.session is not None:
        await asyncio.shield(services.outbox.committed())
    return DeliveryNoted(accepted=True, news=news)


class InterruptAck(Params, frozen=True):
    """``interrupt.ack``."""

    task_id: KnownId
    interrupt_id: (
        Annotated[
            str,
            Meta(min_length=1, max_length=vocabulary.MAX_ID_CHARS),
            hint("expected the id of the stop, as interrupt.check gives it"),
        ]
        | None
    ) = None
    summary: SummaryText | None = None
    event_id: EventId | None = None


def ack(services: Services, params: InterruptAck, context: CallContext) -> Durable | Awaitable[Durable]:
    """Records that the agent stopped at a safe boundary. Where no stop is known, the backend is asked for one first."""
    task = services.registry.get(params.task_id)
    if task.finished or context.session is None or answers_a_stop(task, params.interrupt_id):
        return _acknowledge(services, params, context)
    return _ask_and_acknowledge(services, params, context)


async def _ask_and_acknowledge(services: Services, params: InterruptAck, context: CallContext) -> Durable:
    task = services.registry.get(params.task_id)
    await services.backends.watcher(task.base_url).refresh(task, _REFRESH_S)
    return _acknowledge(services, params, context)


def _acknowledge(services: Services, params: InterruptAck, context: CallContext) -> Durable:
    task = services.registry.get(params.task_id)
    summary, truncated = clean_summary(params.summary, services.settings.summary)
    change = acknowledge(
        task,
        params.interrupt_id,
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
        summary=summary,
    )
    return accept(services, change, context, truncated=truncated)


def _acknowledges(services: Services, params: InterruptAck) -> Intent:
    del services
    wanted = params.interrupt_id
    own = wanted is not None and not Interrupt(wanted).nameless  # one that the backend gave no id has none in the event
    return Intent(EventKind.INTERRUPT_ACK, task_id=params.task_id, interrupt_id=wanted if own else None)


CHECK = Verb("interrupt.check", InterruptCheck, InterruptStatus, check, waits=True, from_memory=check_from_memory)
WATCH = Verb("interrupt.watch", TaskChoice, InterruptStatus, watch)
DELIVERED = Verb("interrupt.delivered", InterruptDelivered, DeliveryNoted, delivered)
ACK = Verb("interrupt.ack", InterruptAck, Accepted, ack, intent=_acknowledges)

"""``interrupt.check``, ``interrupt.watch``, ``interrupt.ack``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import anyio
import msgspec

from clawlog.protocol import ids
from clawlog.protocol.errors import invalid_params
from clawlog.protocol.jsonrpc import encode_notification
from clawlog.protocol.vocabulary import DEFAULT_MAX_AGE_S
from clawlogd.clock import rfc3339
from clawlogd.errors import StorageFailed
from clawlogd.interrupts.state import InterruptPhase, InterruptStatus
from clawlogd.model import Event, EventKind, TaskStatus
from clawlogd.services import Call, Durable, Services
from clawlogd.verbs.params import InterruptAck, InterruptCheck, TaskGet
from clawlogd.verbs.tasks import accept, finished

_ASK_S = 1.0  # how long the backend is given to say what it knows now


def check(services: Services, params: InterruptCheck, call: Call) -> InterruptStatus | Awaitable[InterruptStatus]:
    """Says whether a stop is wanted: from memory while that is fresh enough, else from the backend.

    A check that waits is how others wait for an agent's stop, so it is no sign that the agent lives.
    """
    task = services.registry.get(params.task_id)
    if not task.status.ended and not params.wait_s:
        services.liveness.record_command(task, at_ms=call.spooled_at_ms)
    state = services.interrupts.status(task, params.max_age_s)
    if params.wait_s or state.state is InterruptPhase.UNKNOWN or state.interrupt_requested:
        return _check(services, params)
    return state


async def _check(services: Services, params: InterruptCheck) -> InterruptStatus:
    if params.wait_s:
        await _wait_for_stop(services, params.task_id, params.wait_s)
    state = await _known(services, params.task_id, params.max_age_s)
    if state.interrupt_requested:
        await _tell(services, params.task_id)
    return state


async def _known(services: Services, task_id: str, max_age_s: float) -> InterruptStatus:
    """What is known; asks the backend where that is older than allowed."""
    task = services.registry.get(task_id)
    state = services.interrupts.status(task, max_age_s)
    if state.state is not InterruptPhase.UNKNOWN:
        return state
    answered = await services.backends.watcher(task.base_url).refresh(task, _ASK_S)
    # What the backend has just said is fresh, however little age the caller allows.
    return services.interrupts.status(services.registry.get(task_id), None if answered else max_age_s)


async def _wait_for_stop(services: Services, task_id: str, wait_s: float) -> None:
    asked = asyncio.Event()
    end = services.interrupts.subscribe(task_id, lambda state: asked.set() if state.interrupt_requested else None)
    try:
        # Looked at after the watch has begun: a stop that comes between the two would be slept through.
        if services.interrupts.status(services.registry.get(task_id)).interrupt_requested:
            return
        with anyio.move_on_after(wait_s):
            await asked.wait()
    finally:
        end()


async def _tell(services: Services, task_id: str) -> None:
    """Records that the agent is told. It is told even where that cannot be recorded."""
    if services.interrupts.mark_delivered(task_id):
        try:
            await asyncio.shield(services.outbox.committed())
        except StorageFailed:
            return


def watch(services: Services, params: TaskGet, call: Call) -> Awaitable[InterruptStatus]:
    """Answers as ``interrupt.check`` does, and then pushes each change until the connection closes."""
    services.registry.get(params.task_id)
    session = call.session
    if session is None:
        raise invalid_params("task_id", "cannot be watched from the spool", "watch over a connection")

    def push(state: InterruptStatus) -> None:
        session.push(encode_notification("interrupt.changed", {"task_id": params.task_id, **msgspec.to_builtins(state)}))
        if state.interrupt_requested:
            # Not at once: this is called while the stop itself is being entered.
            asyncio.get_running_loop().call_soon(services.interrupts.mark_delivered, params.task_id)

    session.at_close(services.interrupts.subscribe(params.task_id, push))
    return _first_state(services, params.task_id)


async def _first_state(services: Services, task_id: str) -> InterruptStatus:
    state = await _known(services, task_id, DEFAULT_MAX_AGE_S)
    if state.interrupt_requested:
        services.interrupts.mark_delivered(task_id)
    return state


def ack(services: Services, params: InterruptAck, call: Call) -> Durable:
    """Takes the agent's word that it stopped at a safe boundary. It answers one stop; a new request is a new one."""
    task = services.registry.get(params.task_id)
    if task.finished and task.status is not TaskStatus.INTERRUPTED:
        raise finished(task)
    stop = task.stop
    if params.interrupt_id is not None and (stop is None or stop.interrupt_id != params.interrupt_id):
        known = f"the stop known here is {stop.interrupt_id!r}" if stop else "no stop is known here"
        raise invalid_params("interrupt_id", f"there is no stop {params.interrupt_id!r}", known)
    summary, truncated = services.summary(params.summary)
    event = Event(
        event_id=params.event_id or ids.new_uuid(),
        task_id=task.task_id,
        kind=EventKind.INTERRUPT_ACK,
        at=rfc3339(call.at_ms),
        interrupt_id=stop.backend_id if stop else None,
        summary=summary,
    )
    after = msgspec.structs.replace(
        task,
        status=TaskStatus.INTERRUPTED,
        ended_ms=call.at_ms,
        summary=summary or task.summary,
        seen_ms=call.at_ms,
        stop=msgspec.structs.replace(stop, delivered=True, acknowledged=True) if stop else None,
    )
    return accept(services, event, call, after, truncated=truncated)

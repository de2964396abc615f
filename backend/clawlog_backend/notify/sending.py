"""Delivers one message to one target, off the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from clawlog_backend.notify import services, webhooks
from clawlog_backend.notify.messages import Message
from clawlog_backend.notify.outcomes import Outcome, Scope
from clawlog_backend.notify.rules import Service, Target

Send = Callable[[Target, Message], Outcome]
_SENDS: dict[Service, Send] = {Service.WEBHOOK: webhooks.post, Service.APPRISE: services.notify}

log = logging.getLogger(__name__)


async def send(target: Target, message: Message) -> Outcome:
    """Deliver a message, once, and return what came of it. A failure is an outcome, whatever it is."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Outcome] = loop.create_future()

    def tell(outcome: Outcome) -> None:
        if not answer.done():
            answer.set_result(outcome)

    def work() -> None:
        try:
            outcome = _SENDS[target.service](target, message)
        except Exception as error:  # noqa: BLE001 - a fault of our own must not end the deliveries; its text may hold a secret
            log.error("delivering to %s failed: %s", target.name, type(error).__name__)  # noqa: TRY400 - as above
            outcome = Outcome(Scope.TARGET, type(error).__name__)
        with suppress(RuntimeError):  # the backend has ended meanwhile
            loop.call_soon_threadsafe(tell, outcome)

    # A thread that nobody waits for at the end: a receiver that says nothing must not hold up a shutdown.
    threading.Thread(target=work, name=f"notify-{target.name}", daemon=True).start()
    return await answer

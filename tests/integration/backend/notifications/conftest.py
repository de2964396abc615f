"""A backend that notifies one receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from support.notifying import Clock, Place, rules_to, running
from support.receivers import WebhookReceiver


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def place(database: str, receiver: WebhookReceiver) -> AsyncIterator[Place]:
    async with running(database, rules_to(receiver), Clock()) as place:
        yield place

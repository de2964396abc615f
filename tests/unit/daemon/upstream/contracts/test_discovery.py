"""A contract is found in a server's own document, and with it everything that is said arrives as it was said."""

from __future__ import annotations

import asyncio

import pytest

from clawlogd.upstream.contracts.discovery import discover
from support.foreign.conversation import conversation, faults
from support.foreign.generated import GeneratedServer
from support.foreign.written import WRITTEN

SEEDS = range(200)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_server_as_people_write_them_is_understood_whole(name: str) -> None:
    server = WRITTEN[name]()
    found = discover(server.app.openapi())
    assert found.contract is not None, found.missing
    said = asyncio.run(conversation(server, found.contract))
    assert faults(server, said) == []


def test_generated_servers_are_understood_or_refused_with_a_reason_and_never_misused() -> None:
    recognised, wrong = 0, {}
    for seed in SEEDS:
        server = GeneratedServer(seed)
        found = discover(server.app.openapi())
        if found.contract is None:
            assert all(each.reason for each in found.missing)
            continue
        recognised += 1
        if found_faults := faults(server, asyncio.run(conversation(server, found.contract))):
            wrong[seed] = found_faults
    assert wrong == {}
    assert recognised >= 0.95 * len(SEEDS)

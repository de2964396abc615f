"""A contract is found in a server's own document, and with it everything that is said arrives as it was said."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from clawlogd.upstream.contracts.contract import Contract
from clawlogd.upstream.contracts.discovery import discover
from support.foreign.beating import BeatingServer
from support.foreign.conversation import conversation, faults
from support.foreign.generated import generated_server
from support.foreign.written import WRITTEN, RpcServer

SEEDS = range(int(os.environ.get("CLAWLOG_TEST_SERVERS", "50")))  # ``make faults`` tries 200
Change = Callable[[Contract], Contract]


def _with(part: str, **changes: Any) -> Change:
    return lambda contract: replace(contract, **{part: replace(getattr(contract, part), **changes)})


MISTAKES: dict[str, Change] = {
    "words exchanged": lambda contract: replace(
        contract, step_statuses={**contract.step_statuses, "done": "failed", "failed": "done"}
    ),
    "a status without its word": lambda contract: replace(contract, step_statuses={"running": "running", "done": "done"}),
    "no titles": _with("create", body={"title": "{title}", "steps": ["step"]}),
    "no words": _with("step", body={"task_id": "{task_id:int}", "step_id": "{step_id:int}", "status": "{status}"}),
    "the task for the step": _with("step", body={"task_id": "{task_id:int}", "step_id": "{task_id:int}", "status": "{status}"}),
    "the neighbour's route": _with("heartbeat", path="/api/task/stop"),
    "a stop that is never heard": lambda contract: replace(
        contract, control=replace(contract.control, answer=replace(contract.control.answer, stop_values=("halt",)))
    ),
    "a member for another": _with("ack", body={"task_id": "{task_id:int}", "summary": "{event_id}"}),
    "the wrong task": lambda contract: replace(
        contract, create=replace(contract.create, answer=replace(contract.create.answer, task_id=("/data/steps/0/id",)))
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_server_as_people_write_them_is_understood_whole(name: str) -> None:
    server = WRITTEN[name]()
    found = discover(server.app.openapi())
    assert found.contract is not None, found.missing
    said = asyncio.run(conversation(server, found.contract))
    assert faults(server, said) == []


def test_a_stop_in_the_heartbeats_answer_counts_only_where_no_route_says_it() -> None:
    document = BeatingServer().app.openapi()
    alone = discover(document).contract
    assert alone is not None
    assert alone.control is None
    assert alone.heartbeat_answer is not None
    assert alone.heartbeat_answer.stop == ("/interrupt_requested",)
    (beat,) = (each for path, each in document["paths"].items() if path.endswith("/heartbeat"))
    document["paths"]["/runs/tasks/{task_id}/control"] = {"get": {**beat["post"], "requestBody": {}, "summary": "Control"}}
    asked = discover(document).contract
    assert asked is not None
    assert asked.control is not None
    assert asked.control.path.endswith("/control")
    assert asked.heartbeat_answer is None


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_oracle_finds_what_a_wrong_contract_does(mistake: str) -> None:
    server = RpcServer()
    contract = discover(server.app.openapi()).contract
    assert contract is not None
    said = asyncio.run(conversation(server, MISTAKES[mistake](contract)))
    assert faults(server, said) != []


def test_generated_servers_are_understood_or_refused_with_a_reason_and_never_misused() -> None:
    recognised, wrong = 0, {}
    for seed in SEEDS:
        server = generated_server(seed)
        found = discover(server.app.openapi())
        if found.contract is None:
            assert all(each.reason for each in found.missing)
            continue
        recognised += 1
        if found_faults := faults(server, asyncio.run(conversation(server, found.contract))):
            wrong[seed] = found_faults
    assert wrong == {}
    assert recognised >= 0.95 * len(SEEDS)

"""How a contract and a trial are shown, and that a contract as TOML is read back as it was."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType

from clawlog.cli.render import contracts
from clawlog.cli.render.contracts import ContractView
from clawlog.errors import ProtocolViolation
from clawlogd.upstream.contracts.contract import Action, Contract, Control, ControlAnswer, Create, read_contract
from clawlogd.upstream.contracts.discovery import discover
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.trial import TrialOutcome
from support.foreign.generated import generated_server
from support.foreign.written import WRITTEN

URL = "http://clawlog.example:8000"
SHOWN: dict[str, Any] = {
    "base_url": URL, "state": "missing", "configured": "auto", "source": "", "contract": {}, "of_a_later_version": 1,
    "detail": "the OpenAPI document at /openapi.json does not say how to ack: no operation fits",
    "actions": [
        {"action": "create", "needed": True, "route": "POST /tasks", "reason": "takes name and steps"},
        {"action": "ack", "needed": True, "route": None, "reason": "no operation fits"},
        {"action": "task", "needed": False, "route": None, "reason": "no operation fits"},
    ],
}  # fmt: skip
TRIED: dict[str, Any] = {
    "base_url": URL, "state": "found", "source": "OpenAPI document at /openapi.json", "detail": "", "ok": False,
    "title": "Trial", "task_id": "7",
    "tried": [
        {"action": "create", "what": "a task", "route": "POST /tasks", "outcome": "ok", "status": 200, "detail": ""},
        {"action": "ack", "what": "an ack", "route": "POST /ack", "outcome": "failed", "status": 500, "detail": "HTTP 500"},
        {"action": "task", "what": "the end", "route": None, "outcome": "of a later version", "status": None, "detail": "?"},
    ],
}  # fmt: skip


def drawn(parts: Iterable[RenderableType], width: int = 140) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, emoji=False, markup=False).print(*parts, sep="\n")
    return [line.rstrip() for line in out.getvalue().splitlines()]


def view(**members: Any) -> ContractView:
    return contracts.contract({**SHOWN, **members})


def test_each_action_has_its_mark_route_and_reason() -> None:
    lines = drawn(contracts.contract_screen(view()))
    assert lines[0] == f"● no contract   {URL}"
    assert "✓  create  POST /tasks  takes name and steps" in lines
    assert "✗  ack     -            no operation fits" in lines
    assert "–  task    -            no operation fits" in lines
    assert lines[-1] == f"→ write one by hand, beginning with: clawlog contract show {URL} --toml; see docs/foreign-servers.md"


def test_what_to_do_depends_on_why_there_is_none() -> None:
    assert "correct that file" in drawn(contracts.contract_screen(view(configured="/etc/x.toml")))[-1]
    assert "the first task that is created there tells" in drawn(contracts.contract_screen(view(state="unknown")))[-1]
    found = drawn(contracts.contract_screen(view(state="found", source="OpenAPI document")))
    assert found[:2] == [f"● found   {URL}", "OpenAPI document"]
    assert not any("→" in line for line in found)


def test_a_trial_shows_what_came_back_of_what_failed() -> None:
    lines = drawn(contracts.trial_screen(contracts.trial(TRIED)))
    assert "✓  a task   POST /tasks" in lines
    assert "✗  an ack   POST /ack    HTTP 500" in lines
    assert lines[-1] == "not everything was taken; the task is 7: Trial"
    lines = drawn(contracts.trial_screen(contracts.trial({**TRIED, "state": "missing", "tried": [], "detail": "why"})))
    assert lines[1:] == ["why", "nothing was tried", f"→ clawlog contract show {URL}"]


@pytest.mark.parametrize("outcome", list(TrialOutcome))
def test_every_outcome_has_its_mark(outcome: TrialOutcome) -> None:
    assert outcome in contracts.MARKS


def test_it_fits_into_a_narrow_terminal() -> None:
    for parts in (contracts.contract_screen(view()), contracts.trial_screen(contracts.trial(TRIED))):
        assert max(map(len, drawn(parts, width=40))) <= 40


def test_an_answer_of_another_shape_is_no_answer() -> None:
    with pytest.raises(ProtocolViolation, match=r"contract\.show"):
        contracts.contract({"base_url": URL})
    with pytest.raises(ProtocolViolation, match=r"contract\.try"):
        contracts.trial({**TRIED, "tried": [{}]})


# ── TOML ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_toml(contract: Contract, **members: Any) -> str:
    return contracts.toml(view(state="found", **members), msgspec.to_builtins(contract))


def found_in(document: Any) -> Contract | None:
    return discover(document, source="OpenAPI document at /openapi.json").contract


@pytest.mark.parametrize("name", WRITTEN)
def test_a_contract_that_was_found_is_read_back_as_it_was(name: str) -> None:
    contract = found_in(WRITTEN[name]().app.openapi())
    assert contract is not None
    text = as_toml(contract)
    assert read_contract(text) == contract
    assert max(map(len, (line for line in text.splitlines() if line.startswith("    ")))) <= 100


def test_contracts_of_generated_servers_are_read_back_as_they_were() -> None:
    contracts_found = [found for seed in range(40) if (found := found_in(generated_server(seed).app.openapi()))]
    assert len(contracts_found) > 30
    for contract in contracts_found:
        assert read_contract(as_toml(contract)) == contract


def test_hostile_names_come_back_whole_and_control_no_terminal() -> None:
    name = 'a "b"\\ \x1b[31m\x7f\x9b\u202e ,\n]\t{ } \u2028 名'
    contract = Contract(
        create=Create("POST", "/t", body={name.replace("{ }", ""): "{title}", "list": [", ", "]", "two  spaces", "x" * 120]}),
        ack=Action("POST", "/a", reason=name),
        control=Control("GET", "/c", answer=ControlAnswer(stop=(f"/{name.replace(chr(10), '')}",), stop_values=(True, 1, "]"))),
        source=name,
    )
    text = as_toml(contract, source=name)
    assert read_contract(text) == contract
    assert not set(text) & set("\x1b\x7f\x9b\u202e\u2028")


def test_above_it_stands_what_to_do_with_it() -> None:
    text = as_toml(STANDARD_CONTRACT, source="the settings")
    assert text.startswith(f"# {URL} is spoken to like this: the settings.\n")
    commented = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#     "))
    assert tomllib.loads(commented)["backend"] == [{"base_url": URL, "contract": "/path/of/this/file.toml"}]
    text = contracts.toml(view(), msgspec.to_builtins(STANDARD_CONTRACT))
    assert text.startswith(f"# No contract is known for {URL}: the OpenAPI document at /openapi.json does\n# not say how to ")
    assert read_contract(text) == STANDARD_CONTRACT

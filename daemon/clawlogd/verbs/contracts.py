"""``contract.show`` and ``contract.try``: how a backend is spoken to, for people, and whether it takes it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clawlog.protocol.addresses import canonical
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.services import Services
from clawlogd.tasks.creation import checked_base_url
from clawlogd.text import clean_text
from clawlogd.upstream.contracts.contract import Contract
from clawlogd.upstream.contracts.discovery import NEEDED
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.finder import ContractReport, ContractState
from clawlogd.upstream.trial import TITLE, Trial, Tried
from clawlogd.verbs.fields import Params, hint
from clawlogd.verbs.verb import Verb

_OPTIONAL = ("task", "read", "list_tasks")
_EXTRA = ("plan", "metadata", "link")  # shown where a contract has them
_MAX_DETAIL_CHARS = 1000
_HAND_MADE = "as it was given"

Address = Annotated[str, Meta(max_length=2000), hint("expected an http:// or https:// address")]


class ContractQuestion(Params, frozen=True):
    """``contract.show``."""

    base_url: Address | None = None


class ActionView(msgspec.Struct, frozen=True):
    """What is known of one action.

    Attributes:
        action: ``create``, ``step``, ``heartbeat``, ``control``, ``ack``, ``task``, ``read`` or ``list_tasks``.
        needed: Whether a server without it is not spoken to.
        route: Method and path; None where there is none.
        reason: Why that route, or why none.
    """

    action: str
    needed: bool
    route: str | None
    reason: str


class ContractView(msgspec.Struct, frozen=True):
    """Answers ``contract.show``.

    Attributes:
        base_url: The backend.
        state: What is known: ``standard``, ``found``, ``missing`` or ``unknown``.
        configured: What the settings say: ``auto``, ``standard`` or a path.
        source: Where the contract is from.
        detail: What was looked for and not found.
        actions: What is known of each action; empty where nothing is.
        contract: The contract in force; where none is, the standard one, to begin another with.
    """

    base_url: str
    state: str
    configured: str
    source: str
    detail: str
    actions: tuple[ActionView, ...]
    contract: dict[str, Any]


async def show(services: Services, params: ContractQuestion, context: CallContext) -> ContractView:
    """Says how a backend is spoken to. One that is not in use is asked for its document; nothing is changed there."""
    del context
    base_url = canonical(services.settings.base_url) if params.base_url is None else checked_base_url(params.base_url)
    report = await services.backends.look_at(base_url)
    return ContractView(
        base_url=base_url,
        state=report.state.value,
        configured=services.settings.of_backend(base_url).contract,
        source=report.source,
        detail=clean_text(report.detail, _MAX_DETAIL_CHARS),
        actions=_actions(report),
        contract=msgspec.to_builtins(report.contract or STANDARD_CONTRACT),
    )


def _actions(report: ContractReport) -> tuple[ActionView, ...]:
    contract = STANDARD_CONTRACT if report.state is ContractState.STANDARD else report.contract
    routes = {} if contract is None else dict(contract.actions())
    unexplained = "the standard contract" if contract is STANDARD_CONTRACT else "so it is written"
    choices = {each.action: each for each in report.choices}
    views = []
    for name in (*NEEDED, *_OPTIONAL, *(each for each in _EXTRA if each in routes)):
        action, choice = routes.get(name), choices.get(name)
        if action is not None:
            view = ActionView(name, name in NEEDED, action.route, action.reason or unexplained)
        elif choice is not None:
            view = ActionView(name, name in NEEDED, choice.route, choice.reason)
        elif name == "control" and contract is not None and contract.heartbeat_answer and contract.heartbeat:
            view = ActionView(name, name in NEEDED, contract.heartbeat.route, "the heartbeat's answer says so")
        elif contract is not None:
            view = ActionView(name, name in NEEDED, None, "the contract has none")
        else:
            continue
        views.append(view)
    return tuple(views)


class ContractTrial(Params, frozen=True):
    """``contract.try``."""

    base_url: Address
    contract: Annotated[dict[str, Any], hint("expected a contract, as contract.show gives one")] | None = None
    timeout_s: Annotated[float, Meta(ge=1, le=300), hint("expected 1 to 300 seconds")] = 30.0


class TrialView(msgspec.Struct, frozen=True):
    """Answers ``contract.try``.

    Attributes:
        base_url: The backend.
        state: What was known of how it is spoken to, as in ``ContractView``; ``given`` where the call had a contract.
        source: Where the contract is from.
        detail: What was looked for and not found; nothing is tried then.
        ok: Whether everything was tried and nothing failed.
        title: The title of the trial's task.
        task_id: The task, as the backend calls it; None where there is none.
        tried: What was tried, in order.
    """

    base_url: str
    state: str
    source: str
    detail: str
    ok: bool
    title: str
    task_id: str | None
    tried: tuple[Tried, ...]


async def try_(services: Services, params: ContractTrial, context: CallContext) -> TrialView:
    """Tells a backend of a task that says it is a trial, all the way. Nothing of it passes through the outbox."""
    del context
    base_url = checked_base_url(params.base_url)
    if params.contract is not None:
        contract: Contract | None = _read(params.contract)
        state, source, detail = "given", _HAND_MADE, ""
    else:
        report = await services.backends.look_at(base_url)
        contract, state, source, detail = report.contract, report.state.value, report.source, report.detail
        if report.state is ContractState.MISSING:
            return TrialView(base_url, state, source, clean_text(detail, _MAX_DETAIL_CHARS), False, TITLE, None, ())  # noqa: FBT003 - the view's own order
    async with services.backends.connected(base_url, contract) as upstream:
        trial = Trial(upstream, contract, services.clock)
        await trial.run(params.timeout_s)
    return TrialView(
        base_url=base_url,
        state=state,
        source=source,
        detail=clean_text(detail, _MAX_DETAIL_CHARS),
        ok=trial.succeeded,
        title=TITLE,
        task_id=trial.task_id,
        tried=tuple(trial.tried),
    )


def _read(given: dict[str, Any]) -> Contract:
    try:
        return msgspec.convert(given, Contract)
    except msgspec.ValidationError as error:
        raise InvalidValue("contract", clean_text(error, 300), "see docs/foreign-servers.md") from None


SHOW = Verb("contract.show", ContractQuestion, ContractView, show, waits=True, about_tasks=False)
TRY = Verb("contract.try", ContractTrial, TrialView, try_, waits=True, about_tasks=False)

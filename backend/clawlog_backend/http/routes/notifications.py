"""Whom the backend tells what happens to tasks, and a test of whether it reaches them. Addresses and keys are never shown."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.notify.rules import NotifiedEvent, Service

router = APIRouter(prefix="/api/notifications", tags=["people"], route_class=JsonRoute)


class TargetView(BaseModel):
    """A target, and how it goes with it at this replica."""

    name: str
    service: Service
    state: Literal["ok", "failing", "gone"] = Field(description="`gone`: it answered 410, and is left alone until a restart.")
    detail: str | None = Field(default=None, description="How the last delivery failed.")
    waiting: int = Field(description="How many notifications wait for it.")


class RuleView(BaseModel):
    """A rule."""

    name: str
    events: list[NotifiedEvent]
    to: list[str]


class NotificationsView(BaseModel):
    """Who is told what."""

    targets: list[TargetView]
    rules: list[RuleView]


class NotificationTest(BaseModel):
    """Which targets to try."""

    rule: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The targets of this rule; all, if left out.", examples=["trouble"]
    )


class TestResultView(BaseModel):
    """What came of it at one target."""

    target: str
    delivered: bool
    detail: str


class TestResults(BaseModel):
    """One result for each target."""

    results: list[TestResultView]


@router.get("", responses=error_responses(401, 403, 429, 503))
async def show_notifications(backend: BackendDep) -> NotificationsView:
    """Who is told what, and whether that reaches them."""
    notifier, waiting = backend.notifier, await backend.notifier.count()
    targets = [
        TargetView(
            name=name,
            service=target.service,
            state="gone" if (state := notifier.states[name]).gone else "failing" if state.failing is not None else "ok",
            detail=state.failing,
            waiting=waiting.get(name, 0),
        )
        for name, target in notifier.rules.targets.items()
    ]
    order = list(NotifiedEvent)
    rules = [
        RuleView(name=rule.name, events=sorted(rule.events, key=order.index), to=list(rule.targets))
        for rule in notifier.rules.rules.values()
    ]
    return NotificationsView(targets=targets, rules=rules)


@router.post("/test", responses=error_responses(401, 403, 404, 409, 413, 415, 422, 429))
async def test_notifications(body: NotificationTest, backend: BackendDep) -> TestResults:
    """Send a test message to the targets, and say what came of it. 409 `no_targets` where there are none."""
    results = await backend.notifier.test(body.rule)
    return TestResults(
        results=[TestResultView(target=each.target, delivered=each.delivered, detail=each.detail) for each in results]
    )

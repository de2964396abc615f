"""Notifications, from what is written to real receivers: webhooks whose signatures their own library checks, and mail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import InterruptRequested, TaskClosed, batch_event
from clawlog_backend.domain.fields import ClosedStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify.quiet import QuietHours
from clawlog_backend.notify.rules import NotifiedEvent, Rule, Rules, Service, Target
from clawlog_backend.settings import Settings
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.schema import notifications
from support.engines import BOTH_ENGINES, BOTH_ENGINES_AT_LENGTH, POSTGRESQL
from support.receivers import KEY, MailReceiver, WebhookReceiver, text_of

EVERYTHING = frozenset(NotifiedEvent)
GATHER_MS = 5_000
MINUTE_MS = 60_000


class Clock:
    """Stands still until a test puts it forward."""

    def __init__(self) -> None:
        self.now = UtcMs.now()

    def __call__(self) -> UtcMs:
        return self.now

    def forward(self, ms: int) -> None:
        self.now = self.now.plus(ms=ms)


class Place:
    """A backend and what agents and people do there."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self.backend = backend
        self.clock = clock

    async def send(self, *events: dict[str, Any]) -> None:
        outcomes = await self.backend.writer.submit([self._event(**event) for event in events])
        assert [outcome.error for outcome in outcomes] == [None] * len(events)

    def _event(self, **fields: Any) -> Any:
        return batch_event.validate_python({"event_id": str(uuid4()), "at": self.clock.now.rfc3339(), **fields})

    async def task(self, task_id: str, status: str | None = None, summary: str | None = None, **metadata: str) -> None:
        created = {"kind": "task_created", "task_id": task_id, "title": f"Task {task_id}", "metadata": metadata}
        await self.send(created)
        if status is not None:
            await self.status(task_id, status, summary)

    async def status(self, task_id: str, status: str, summary: str | None = None) -> None:
        await self.send({"kind": "task_status", "task_id": task_id, "status": status, "summary": summary})

    async def stop(self, task_id: str, reason: str = "wrong host") -> None:
        event = InterruptRequested(event_id=f"stop-{task_id}", task_id=task_id, at=self.clock.now, reason=reason)
        await self.backend.writer.submit([event])

    async def look(self) -> None:
        """Have it look at what happened, and wait until what it began to deliver is delivered or has failed."""
        await self.backend.notifier.look()
        await self.backend.notifier.delivered()

    async def told(self) -> None:
        """Have it tell what happened until now, once it was gathered."""
        await self.backend.notifier.look()
        self.clock.forward(GATHER_MS)
        await self.look()


@asynccontextmanager
async def running(database: str, rules: Rules, clock: Clock) -> AsyncIterator[Place]:
    backend = Backend(Settings(database=database, port=0), rules=rules, clock=clock)
    for part in (backend.notifier, backend.maintenance, backend.search):  # they look when the test has them do so
        part.run = _at_rest  # type: ignore[method-assign]
    async with backend:
        yield Place(backend, clock)


async def _at_rest() -> None:
    pass


def rules_to(receiver: WebhookReceiver, **changes: Any) -> Rules:
    ops = Target("ops", Service.WEBHOOK, receiver.url, (KEY,))
    rule = Rule(**({"name": "all", "events": EVERYTHING, "targets": ("ops",)} | changes))
    return Rules("https://clawlog.example.com", {"ops": ops}, {rule.name: rule})


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def place(database: str, receiver: WebhookReceiver) -> AsyncIterator[Place]:
    async with running(database, rules_to(receiver), Clock()) as place:
        yield place


# ── What is told ────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH_ENGINES
async def test_each_event_arrives_once_signed_and_with_an_id_of_its_own(place: Place, receiver: WebhookReceiver) -> None:
    await place.task("asks", "waiting", "drop the column?", project="payments", host="mac-07", agent="codex")
    await place.task("gone")
    await place.send({"kind": "agent_lost", "task_id": "gone", "summary": "exit 137"})
    await place.task("broken", "running")
    await place.status("broken", "failed", "no space left")
    await place.told()
    await place.task("fine", "done")
    await place.task("halted", "running")
    await place.stop("halted")
    await place.send({"kind": "interrupt_ack", "task_id": "halted"})
    await place.task("deaf", "running")
    await place.stop("deaf")
    await place.told()
    place.clock.forward(5 * MINUTE_MS)
    await place.told()
    await place.told()
    assert receiver.said == [
        "task.needs_you asks", "task.dead gone", "task.failed broken", "task.done fine", "task.stopped halted",
        "task.stop_unanswered deaf",
    ]  # fmt: skip
    assert len({name for name, _, _ in receiver.requests}) == 6
    asked = receiver.taken[0]["data"]
    assert asked["rule"] == "all"
    assert asked["task"].pop("at")
    assert asked["task"] == {
        "task_id": "asks", "title": "Task asks", "summary": "drop the column?", "project": "payments", "host": "mac-07",
        "agent": "codex", "url": "https://clawlog.example.com/tasks/asks",
    }  # fmt: skip
    assert receiver.taken[5]["data"]["task"]["summary"] == "wrong host"


async def test_a_repeat_a_person_and_what_goes_on_are_told_of_nothing(place: Place, receiver: WebhookReceiver) -> None:
    steps = {"kind": "task_created", "task_id": "t", "title": "T", "steps": [{"step_id": "s", "title": "S"}]}
    await place.send(steps, {"kind": "step_status", "task_id": "t", "step_id": "s", "status": "failed", "summary": "at step"})
    await place.status("t", "failed")  # said by its step already
    await place.task("closed")
    await place.send({"kind": "agent_lost", "task_id": "closed"}, {"kind": "agent_lost", "task_id": "closed"})
    await place.told()
    closed = TaskClosed(event_id="c", task_id="closed", at=place.clock.now, status=ClosedStatus.FAILED)
    await place.backend.writer.submit([closed])
    await place.stop("t")  # refused: it has ended
    await place.told()
    assert receiver.said == ["task.failed t", "task.dead closed"]
    assert receiver.taken[0]["data"]["task"]["summary"] == "at step"
    await place.status("t", "running")
    await place.status("t", "failed")
    await place.told()
    assert receiver.said[2:] == ["task.failed t"], "it was reopened, and failed anew"


async def test_a_stop_that_is_answered_or_whose_task_ended_is_not_unanswered(
    database: str, place: Place, receiver: WebhookReceiver
) -> None:
    for name in ("answered", "ended", "open"):
        await place.task(name, "running")
        await place.stop(name)
        again = InterruptRequested(event_id=f"again-{name}", task_id=name, at=place.clock.now)
        await place.backend.writer.submit([again])
    await place.told()
    await place.send({"kind": "interrupt_ack", "task_id": "answered"})
    await place.status("ended", "done")
    await place.told()
    place.clock.forward(5 * MINUTE_MS)
    await place.told()
    assert receiver.said == ["task.stopped answered", "task.done ended", "task.stop_unanswered open"]


async def test_mail_bears_the_id_in_a_header_and_its_text(database: str) -> None:
    with MailReceiver() as mails:
        rules = Rules(
            None,
            {"mu": Target("mu", Service.APPRISE, mails.url)},
            {"all": Rule(name="all", events=EVERYTHING, targets=("mu",))},
        )
        async with running(database, rules, Clock()) as place:
            place.backend.announce("http://127.0.0.1:8000")
            await place.task("部署-7", "failed", "no space left", project="infra")
            await place.task("asks", "waiting", 'approve "DROP <b>x</b>"?')
            await place.told()
            await place.told()
    assert [mail["subject"] for mail in mails.mails] == ["Failed: Task 部署-7", "Needs you: Task asks"]
    for mail in mails.mails:
        name = mail["X-ClawLog-Notification"]
        assert len(name) == 36
        assert f"notification {name}" in text_of(mail)
    assert "http://127.0.0.1:8000/tasks/%E9%83%A8" in text_of(mails.mails[0])
    assert "project infra" in text_of(mails.mails[0])
    assert 'approve "DROP <b>x</b>"?' in text_of(mails.mails[1]), "a text, in which nothing is markup"
    assert mails.mails[1].get_content_type() == "text/plain"


async def test_a_mail_that_cannot_be_sent_waits_and_its_address_is_told_nobody(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = "mailto://mu:very-secret-part@127.0.0.1:9?from=clawlog@example.com&to=mu@example.com&mode=insecure"
    rule = Rule(name="all", events=EVERYTHING, targets=("mu",))
    async with running(database, Rules(None, {"mu": Target("mu", Service.APPRISE, address)}, {"all": rule}), Clock()) as place:
        await place.task("t", "failed")
        await place.told()
        assert place.backend.notifier.states["mu"].failing == 'Connection error while submitting email to "…"'
        await place.backend.notifier.look()
        assert await place.backend.notifier.count() == {"mu": 1}
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("clawlog")]
    assert len(ours) == 1
    assert not any(piece in ours[0] for piece in ("very-secret-part", "127.0.0.1", "example.com"))


async def test_rules_narrow_by_event_project_host_and_agent_and_each_target_is_told_once(
    database: str, receiver: WebhookReceiver
) -> None:
    ops = Target("ops", Service.WEBHOOK, receiver.url, (KEY,))
    some = (NotifiedEvent.FAILED, NotifiedEvent.DONE)
    by_rule = [
        Rule(name="payments", events=frozenset(some), targets=("ops",), projects=("payments-*",), hosts=("db-0?", "mac")),
        Rule(name="codex", events=frozenset(some[:1]), targets=("ops", "ops"), agents=("codex",)),
    ]
    async with running(database, Rules(None, {"ops": ops}, {rule.name: rule for rule in by_rule}), Clock()) as place:
        await place.task("both", "failed", project="payments-api", host="db-01", agent="codex")
        await place.task("first", "done", project="payments-api", host="mac")
        await place.task("second", "failed", agent="codex")
        await place.task("host", "failed", project="payments-api", host="db-001")
        await place.task("event", "done", agent="codex")
        await place.task("none", "failed")
        await place.told()
        await place.told()
    found = [(document["data"]["rule"], document["data"]["task"]["task_id"]) for document in receiver.taken]
    assert found == [("payments", "both"), ("payments", "first"), ("codex", "second")]


# ── Many, and quiet hours ───────────────────────────────────────────────────────────────────────────────────────────────


@BOTH_ENGINES_AT_LENGTH
async def test_a_thousand_that_fail_at_once_are_one_digest(place: Place, receiver: WebhookReceiver) -> None:
    names = [f"t{n}" for n in range(1_000)]
    await place.send(*({"kind": "task_created", "task_id": name, "title": name} for name in names))
    await place.send(*({"kind": "task_status", "task_id": name, "status": "failed"} for name in names))
    await place.told()
    await place.told()
    (document,) = receiver.taken
    assert document["type"] == "digest"
    said = document["data"]
    assert (said["number"], said["events"], len(said["tasks"])) == (1_000, {"failed": 1_000}, 20)
    assert said["tasks"][0]["task_id"] == "t0"


async def test_while_much_goes_on_happening_there_is_one_digest_a_minute(place: Place, receiver: WebhookReceiver) -> None:
    for second in range(0, 120, 15):
        await place.send(
            *({"kind": "task_created", "task_id": f"{second}-{n}", "title": "T"} for n in range(30)),
            *({"kind": "task_status", "task_id": f"{second}-{n}", "status": "failed"} for n in range(30)),
        )
        await place.told()
        place.clock.forward(10_000)
    place.clock.forward(MINUTE_MS)
    await place.look()
    assert [document["type"] for document in receiver.taken] == ["digest"] * 3
    assert sum(document["data"]["number"] for document in receiver.taken) == 240


async def test_quiet_hours_hold_what_happens_and_tell_it_as_one_when_they_end(database: str, receiver: WebhookReceiver) -> None:
    clock = Clock()
    clock.now = UtcMs(int(datetime(2026, 3, 1, 21, 59, 58, tzinfo=UTC).timestamp() * 1000))
    quiet = QuietHours(time(22), time(7), UTC)
    async with running(database, rules_to(receiver, quiet=quiet), clock) as place:
        await place.task("just-before", "failed")
        await place.told()  # gathered until it is quiet
        await place.task("at-night", "waiting")
        await place.told()
        clock.forward(5 * 60 * MINUTE_MS)
        await place.task("later", "failed")
        await place.told()
        assert receiver.requests == []
        clock.forward(4 * 60 * MINUTE_MS)
        await place.look()
        (document,) = receiver.taken
        assert (document["type"], document["data"]["quiet_hours"], document["data"]["number"]) == ("digest", True, 3)
        await place.task("by-day", "failed")
        await place.told()
        assert receiver.said[1:] == ["task.failed by-day"]


async def test_quiet_hours_may_drop_and_no_repeat_is_tried_in_them(database: str, receiver: WebhookReceiver) -> None:
    clock = Clock()
    clock.now = UtcMs(int(datetime(2026, 3, 1, 21, 59, 50, tzinfo=UTC).timestamp() * 1000))
    quiet = QuietHours(time(22), time(7), UTC)
    async with running(database, rules_to(receiver, quiet=quiet, drops_in_quiet=True), clock) as place:
        receiver.answer = lambda _: (503, {})
        await place.task("fails", "failed")
        await place.told()
        receiver.answer = lambda _: (204, {})
        await place.task("early", "failed")
        clock.forward(MINUTE_MS)
        await place.task("dropped", "failed")
        await place.told()
        clock.forward(5 * 60 * MINUTE_MS)
        await place.look()
        assert receiver.said == []
        clock.forward(5 * 60 * MINUTE_MS)
        await place.look()
        assert receiver.said == ["task.failed fails"]


# ── Receivers that do not take it ───────────────────────────────────────────────────────────────────────────────────────


@BOTH_ENGINES_AT_LENGTH
async def test_a_receiver_that_is_down_for_a_minute_gets_all_of_it_once(place: Place, receiver: WebhookReceiver) -> None:
    receiver.stop()
    for n in range(3):
        await place.task(f"t{n}", "failed")
    await place.told()
    assert place.backend.notifier.states["ops"].failing == "[Errno 111] Connection refused"
    for _ in range(10):
        place.clock.forward(5_000)
        await place.look()
    receiver.start()
    place.clock.forward(MINUTE_MS)
    await place.look()
    await place.look()
    assert receiver.said == ["task.failed t0", "task.failed t1", "task.failed t2"]
    assert place.backend.notifier.states["ops"].failing is None
    await place.look()
    assert (await place.backend.notifier.count(), len(receiver.requests)) == ({}, 3)


async def test_what_happens_while_a_receiver_is_down_becomes_one_digest(place: Place, receiver: WebhookReceiver) -> None:
    receiver.stop()
    await place.task("first", "failed")
    await place.told()
    for n in range(8):
        await place.task(f"t{n}", "failed")
        await place.told()
    assert await place.backend.notifier.count() == {"ops": 9}
    receiver.start()
    for _ in range(3):
        place.clock.forward(20 * MINUTE_MS)
        await place.look()
    assert [document["type"] for document in receiver.taken] == ["task.failed", "digest"]
    assert receiver.taken[1]["data"]["number"] == 8


@pytest.mark.parametrize("status", [302, 401, 404, 500, 503])
async def test_an_answer_that_is_of_the_receiver_is_tried_again(place: Place, receiver: WebhookReceiver, status: int) -> None:
    receiver.answer = lambda _: (status, {"Location": "http://127.0.0.1:9/elsewhere"})
    await place.task("t", "failed")
    await place.told()
    receiver.answer = lambda _: (204, {})
    place.clock.forward(4_000)
    await place.look()
    assert len(receiver.requests) == 1
    place.clock.forward(2_000)
    await place.look()
    assert [(name, status) for name, _, status in receiver.requests] == [
        (receiver.requests[0][0], status), (receiver.requests[0][0], 204),
    ]  # fmt: skip


async def test_retry_after_is_waited_for(place: Place, receiver: WebhookReceiver) -> None:
    receiver.answer = lambda _: (429, {"Retry-After": "120"})
    await place.task("t", "failed")
    await place.told()
    receiver.answer = lambda _: (204, {})
    place.clock.forward(119_000)
    await place.look()
    assert len(receiver.requests) == 1
    place.clock.forward(2_000)
    await place.look()
    assert receiver.said == ["task.failed t"]


async def test_a_message_that_is_refused_holds_up_no_other_and_is_dropped_after_three_days(
    place: Place, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda document: (422 if document["data"]["task"]["task_id"] == "odd" else 204, {})
    await place.task("odd", "failed")
    await place.task("even", "failed")
    await place.told()
    assert receiver.said == ["task.failed even"]
    for _ in range(4):
        place.clock.forward(20 * 60 * MINUTE_MS)
        await place.look()
    await place.look()
    assert await place.backend.notifier.count() == {}
    assert "refused the notification" in caplog.text
    assert "dropped" in caplog.text
    place.clock.forward(61 * MINUTE_MS)
    refused = len(receiver.requests)
    await place.look()
    assert len(receiver.requests) == refused


async def test_a_receiver_that_is_gone_is_left_alone_until_a_restart_and_nothing_is_lost(
    database: str, receiver: WebhookReceiver
) -> None:
    clock = Clock()
    async with running(database, rules_to(receiver), clock) as place:
        receiver.answer = lambda _: (410, {})
        await place.task("t", "failed")
        await place.told()
        clock.forward(48 * 60 * MINUTE_MS)
        await place.look()
        assert len(receiver.requests) == 1
        assert place.backend.notifier.states["ops"].gone
    receiver.answer = lambda _: (204, {})
    async with running(database, rules_to(receiver), clock) as place:
        await place.look()
    assert receiver.said == ["task.failed t"]


# ── Restarts, replicas, and what it costs ───────────────────────────────────────────────────────────────────────────────


async def test_it_begins_at_the_present_and_goes_on_after_a_restart_from_where_it_was(
    database: str, receiver: WebhookReceiver
) -> None:
    clock = Clock()
    async with running(database, Rules(), clock) as place:
        await place.task("before-the-rules", "failed")
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
        await place.task("unread", "failed")
        await place.task("deaf", "running")
        await place.stop("deaf")
        # Ended before it has looked at any of it.
    async with running(database, rules_to(receiver), clock) as place:
        await place.look()
    async with running(database, rules_to(receiver), clock) as place:
        clock.forward(GATHER_MS)
        await place.look()
        assert receiver.said == ["task.failed unread"]
    clock.forward(5 * MINUTE_MS)
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
        assert receiver.said[1:] == ["task.stop_unanswered deaf"]
    async with running(database, Rules(), clock) as place:
        await place.task("without-rules", "failed")
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
    assert len(receiver.requests) == 2


async def test_what_is_for_a_target_that_is_no_more_is_dropped_and_said(
    database: str, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, rules_to(receiver), Clock()) as place:
        await place.task("t", "failed")
        await place.look()
    other = Rules(None, {"other": Target("other", Service.WEBHOOK, receiver.url, (KEY,))}, {})
    async with running(database, other, Clock()) as place:
        await place.told()
    assert receiver.requests == []
    assert "1 notifications were for targets that the settings no longer have" in caplog.text


async def test_a_receiver_that_says_nothing_holds_up_no_end_and_gets_it_again_under_the_same_id(
    database: str, receiver: WebhookReceiver
) -> None:
    came, may_answer = threading.Event(), threading.Event()

    def hang(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        came.set()
        may_answer.wait(20)
        return 204, {}

    receiver.answer = hang
    rules, clock = rules_to(receiver, gather_ms=1), Clock()
    async with asyncio.timeout(15):
        async with Backend(Settings(database=database, port=0), rules=rules, clock=clock) as backend:
            place = Place(backend, clock)
            await place.task("t", "failed")
            while not came.is_set():
                clock.forward(1)
                await asyncio.sleep(0.02)
        receiver.answer = lambda _: (204, {})
        async with running(database, rules, clock) as place:
            await place.look()
        may_answer.set()
        receiver.wait_for(2)
    assert len({name for name, _, _ in receiver.requests}) == 1


async def test_what_was_taken_and_could_not_be_recorded_is_not_sent_again(place: Place, receiver: WebhookReceiver) -> None:
    await place.task("t", "failed")
    await place.backend.notifier.look()
    write, failures = place.backend.database.write, 0

    async def fails_once_it_was_taken(work: Any) -> Any:
        nonlocal failures
        if receiver.requests:
            failures += 1
            raise DatabaseError("the disk is full")
        return await write(work)

    place.backend.database.write = fails_once_it_was_taken  # type: ignore[method-assign]
    place.clock.forward(GATHER_MS)
    await place.look()
    place.backend.database.write = write  # type: ignore[method-assign]
    place.clock.forward(MINUTE_MS)
    await place.look()
    assert (failures, len(receiver.requests), await place.backend.notifier.count()) == (1, 1, {})


async def test_what_this_version_cannot_say_holds_up_nothing_else(place: Place, receiver: WebhookReceiver) -> None:
    await place.task("odd", "failed")
    await place.task("even", "failed")
    await place.backend.notifier.look()
    later = update(notifications).values(event="of a later version").where(notifications.c.detail.contains("odd"))
    await place.backend.database.write(lambda connection: connection.execute(later))
    await place.told()
    assert receiver.said == ["task.failed even"]
    assert await place.backend.notifier.count() == {"ops": 1}


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
async def test_of_two_replicas_the_one_with_the_lease_tells(database: str, receiver: WebhookReceiver) -> None:
    clock, rules = Clock(), rules_to(receiver)
    async with running(database, rules, clock) as one, running(database, rules, clock) as other:
        for n in range(3):
            await (one, other)[n % 2].task(f"t{n}", "failed")
        for place in (one, other, one, other):
            await place.look()
        clock.forward(GATHER_MS)
        await asyncio.gather(*(place.look() for place in (one, other, one, other)))
        assert receiver.said == ["task.failed t0", "task.failed t1", "task.failed t2"]


async def test_intake_waits_for_no_receiver_and_pays_one_transaction_for_many(place: Place, receiver: WebhookReceiver) -> None:
    answering, may_answer = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        loop.call_soon_threadsafe(answering.set)
        asyncio.run_coroutine_threadsafe(may_answer.wait(), loop).result(20)
        return 204, {}

    receiver.answer = hang
    await place.task("first", "failed")
    await place.backend.notifier.look()
    place.clock.forward(GATHER_MS)
    await place.backend.notifier.look()
    async with asyncio.timeout(20):
        await answering.wait()
    written = 0
    write = place.backend.database.write

    async def counted(work: Any) -> Any:
        nonlocal written
        written += 1
        return await write(work)

    place.backend.database.write = counted  # type: ignore[method-assign]
    for n in range(20):
        await place.task(f"t{n}", "failed")
    assert written == 40, "a commit for each of the 40 requests, and none beside"
    await place.backend.notifier.look()
    assert written == 41, "all that happened is taken up in one"
    may_answer.set()
    await place.backend.notifier.delivered()

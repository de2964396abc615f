"""Notifications, from what is written to real receivers: webhooks whose signatures their own library checks, and mail."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from clawlog_backend.domain.events import InterruptRequested, TaskClosed
from clawlog_backend.domain.fields import ClosedStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify.quiet import QuietHours
from clawlog_backend.notify.rules import NotifiedEvent, Rule, Rules, Service, Target
from support.engines import BOTH_ENGINES, BOTH_ENGINES_AT_LENGTH
from support.notifying import EVERYTHING, MINUTE_MS, Clock, Place, rules_to, running
from support.receivers import KEY, MailReceiver, WebhookReceiver, text_of

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

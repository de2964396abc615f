"""Faults planted in the daemon, to see that the simulation finds them: each by its name, for one run at a time."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.agents import turns
from clawlogd.delivery.parking import Parking
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Judgement, Liveness
from clawlogd.liveness.processes import ProcessWatcher
from clawlogd.liveness.signs import Signs
from clawlogd.model import Evidence, TaskStatus
from clawlogd.outbox import schema
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.store import Store
from clawlogd.rpc.spool import Spool
from clawlogd.services import Services
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome, Verdict
from clawlogd.upstream.client import Upstream
from clawlogd.verbs import interrupts

Patches = list[tuple[Any, str, Any]]


def _minted_anew() -> Patches:
    send = Upstream.send_batch

    async def changed(self: Upstream, records: Any) -> Any:
        events = [{**json.loads(each), "event_id": new_uuid()} for each in records]
        return await send(self, [json.dumps(each).encode() for each in events])

    return [(Upstream, "send_batch", changed)]


def _early_reply() -> Patches:
    def committed(self: Outbox) -> Any:
        self._group()
        done = self._loop.create_future()
        done.set_result(None)
        return done

    return [(Outbox, "committed", committed)]


def _wrong_ack() -> Patches:
    acknowledge = interrupts.acknowledge

    def changed(*args: Any, **kwargs: Any) -> Any:
        change = acknowledge(*args, **kwargs)
        return msgspec.structs.replace(change, event=msgspec.structs.replace(change.event, interrupt_id=None))

    return [(interrupts, "acknowledge", changed)]


def _stale_no() -> Patches:
    status = Interrupts.status
    return [(Interrupts, "status", lambda self, task, _max_age_s=None: status(self, task))]


def _impatient() -> Patches:
    judge = Liveness.judge

    def changed(self: Liveness, task: Any) -> Judgement:
        running = task.status is TaskStatus.WAITING
        return judge(self, msgspec.structs.replace(task, status=TaskStatus.RUNNING) if running else task)

    return [(Liveness, "judge", changed)]


def _lost_answer_believed() -> Patches:
    send = Upstream.send_batch

    async def changed(self: Upstream, records: Any) -> Any:
        answer, verdicts = await send(self, records)
        if answer.is_lost:
            return Answer(Outcome.DELIVERED, status=200), [Verdict(accepted=True)] * len(records)
        return answer, verdicts

    return [(Upstream, "send_batch", changed)]


def _newest_first() -> Patches:
    pending = Store.pending
    return [(Store, "pending", lambda self, *args, **kwargs: pending(self, *args, **kwargs)[::-1])]


def _told_at_each_check() -> Patches:
    mark = Interrupts.mark_delivered

    def changed(self: Interrupts, task_id: str, *args: Any, **kwargs: Any) -> bool:
        task = self._registry.find(task_id)
        if task is not None and task.interrupt is not None and task.interrupt_pending:
            self._put(task, msgspec.structs.replace(task.interrupt, delivered=False))
        return mark(self, task_id, *args, **kwargs)

    return [(Interrupts, "mark_delivered", changed)]


def _held_for_ever() -> Patches:
    return [(turns, "lifted", lambda session: session)]


def _half_a_report() -> Patches:
    return [(Services, "check_room", lambda *_: None)]


def _steps_lost_in_an_upgrade() -> Patches:
    migrate = schema.MIGRATIONS
    last = (
        migrate[-1]
        .replace("INSERT INTO steps_by_id", "INSERT OR IGNORE INTO steps_by_id")
        .replace("FROM steps);", "FROM steps WHERE position > 1);")
    )
    return [(schema, "MIGRATIONS", (*migrate[:-1], last))]


def _page_without_its_last() -> Patches:
    newest = Registry.newest_first

    def changed(self: Registry, after: Any = None, **only: Any) -> Iterator[Any]:
        return itertools.islice(newest(self, after, **only), 1 if after is not None else 0, None)

    return [(Registry, "newest_first", changed)]


def _vouched_before_a_look() -> Patches:
    judge = Liveness.judge

    def changed(self: Liveness, task: Any) -> Judgement:
        if task.watched is not None and self._processes is None:
            return Judgement(Evidence.PROCESS, None, math.inf)
        return judge(self, task)

    return [(Liveness, "judge", changed)]


def _fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("planted")


MUTATIONS: dict[str, Callable[[], Patches]] = {
    "the idempotency key is minted anew at each attempt": _minted_anew,
    "a reply leaves before its commit": _early_reply,
    "a heartbeat is sent though its task has ended meanwhile": lambda: [(Registry, "may_beat", lambda *_: True)],
    "an acknowledgement does not say which stop it answers": _wrong_ack,
    "the spool is drained late": lambda: [(Spool, "closed", property(lambda _: False))],
    "a parked task is never tried again": lambda: [
        (Parking, "due", lambda *_: []),
        (Parking, "next_due", lambda _: None),
        (Parking, "clear_suspects", lambda *_: False),
    ],
    "'no stop' is answered whatever the age of what is known": _stale_no,
    "an agent that waits for a person loses its lease": _impatient,
    "a process's end is not noticed": lambda: [(ProcessWatcher, "_gone", lambda *_: None)],
    "a lost answer is taken for a delivery": _lost_answer_believed,
    "the newest events are sent first": _newest_first,
    "a stop's delivery is recorded at each check": _told_at_each_check,
    "a hold outlasts a person's next prompt": _held_for_ever,
    "a report is taken in part where there is no room for all": _half_a_report,
    "a step is lost in an upgrade": _steps_lost_in_an_upgrade,
    "a page of tasks leaves one out": _page_without_its_last,
    "a process is vouched for before it was looked at": _vouched_before_a_look,
    "signs are not read": lambda: [(Signs, "read", lambda _: [])],
    "a listing fails": lambda: [(Registry, "newest_first", _fail)],
    "a drop is never emptied": lambda: [(Spool, "set_drops", lambda *_: None)],
}
"""What is replaced, by what is wrong then."""


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Plants a fault; None for none."""
    with ExitStack() as stack:
        for target, attribute, value in MUTATIONS[name]() if name is not None else ():
            stack.enter_context(patch.object(target, attribute, value))
        yield

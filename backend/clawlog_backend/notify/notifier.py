"""Tells people what happens to tasks: follows the log of changes, and delivers what is in the queue. Beside what is written.

No writer waits for it: it reads the log behind them, at most a few times a second, in bounded transactions. One delivery at a
time is under way for each target, so that one that hangs holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from uuid import uuid4

from sqlalchemy import Connection

from clawlog_backend.domain.errors import Busy, NothingToNotify, UnknownRule
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.notify import messages
from clawlog_backend.notify.gathering import Gatherer
from clawlog_backend.notify.outcomes import Outcome, Scope
from clawlog_backend.notify.rules import Rules, Target
from clawlog_backend.notify.sending import send
from clawlog_backend.storage import notifications
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.notifications import Item, ready

_LOOK_EVERY_S = 0.25  # at most so often, however much happens
_LOOK_AT_LEAST_EVERY_S = 5.0
_ASK_EVERY_S = 4.0  # for the lease
_LEASE_S = 10.0  # of the 15 s that it lasts
_ITEMS_AT_ONCE = 20
_COUNT_EVERY_S = 5.0  # what waits, for the metrics
_RETRY_AFTER_S = (5, 15, 60, 300, 900, 3_600)
_AFTER_A_FAULT_MS = 5_000
_REFUSED_FOR_MS = 3 * 86_400_000
_ENDING_S = 1.0  # for deliveries under way: what is not recorded by then is delivered again

log = logging.getLogger(__name__)


@dataclass(slots=True)
class TargetState:
    """How it goes with a target.

    Attributes:
        failing: Its last delivery failed, in a way that all others would; what for.
        gone: It has said that it is no more: nothing is tried again before a restart.
        retry_ms: Not to be tried before.
    """

    failing: str | None = None
    gone: bool = False
    retry_ms: UtcMs = field(default_factory=lambda: UtcMs(0))


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What came of a test message.

    Attributes:
        target: The target's name.
        delivered: The target has taken it.
        detail: How it went.
    """

    target: str
    delivered: bool
    detail: str


class Notifier:
    """Runs in the background.

    Args:
        database: Where the log and the queue are.
        rules: Who is told what.
        clock: What time it is.
        page: Where the dashboard is, as far as is known now.
        may_lead: Whether it is this replica that does it: takes or keeps a lease.
        on_result: Called with what came of each notification: ``delivered``, ``failed`` (it is tried again) or ``dropped``.
    """

    def __init__(
        self,
        *,
        database: Database,
        rules: Rules,
        clock: Clock,
        page: Callable[[], str | None],
        may_lead: Callable[[], Awaitable[bool]] | None = None,
        on_result: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self.rules = rules
        self._clock = clock
        self._page = page
        self._may_lead = may_lead
        self._on_result = on_result
        self._gatherer = Gatherer(rules)
        self._woken = asyncio.Event()
        self._states = {name: TargetState() for name in rules.targets}
        self._taken: set[str] = set()  # by their targets, and still in the queue
        self._delivering: dict[str, asyncio.Task[None]] = {}
        self._next_ms: UtcMs | None = None
        self._count_s = self._ask_s = self._lease_until_s = 0.0
        self._ending = False
        self._testing = False
        self.waiting: dict[str, int] = {}
        """How many notifications wait for each target, as of a few seconds ago."""

    @property
    def states(self) -> dict[str, TargetState]:
        """How it goes with each target."""
        return self._states

    def heard(self, change: Change) -> None:
        """Something was written."""
        if change.events:
            self._woken.set()

    async def begin(self) -> None:
        """Begin where it was, or at the present. To be called before anything is written.

        Raises:
            DatabaseError: It is not known where it was.
        """
        removed = await self._database.write(self._gatherer.begin)
        if removed:
            log.warning("%d notifications were for targets that the settings no longer have: they are not told", removed)

    async def run(self) -> None:
        """Follow and deliver until cancelled; returns at once where there are no rules."""
        if not self.rules.rules:
            return
        try:
            while True:
                self._woken.clear()
                try:
                    await self.look()
                except DatabaseError as error:
                    log.error("notifications wait for the database: %s", error)  # noqa: TRY400 - an expected fault
                except Exception:
                    log.exception("a look at what is to be told failed, and is tried again")
                await asyncio.sleep(_LOOK_EVERY_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._woken.wait()
        finally:
            await self._end_deliveries()

    async def look(self) -> None:
        """Take up what happened, and begin to deliver what is due.

        Raises:
            DatabaseError: It will be looked at again; nothing is lost.
        """
        if not await self._leads():
            self._next_ms = None
            return
        now = self._clock()
        unreachable = frozenset(name for name, state in self._states.items() if state.failing is not None)

        def take_up(connection: Connection) -> tuple[list[str], UtcMs | None] | None:
            if self._gatherer.follow(connection, now) or self._gatherer.run_timers(connection, now):
                return None  # there is more
            self._gatherer.close_windows(connection, now, unreachable)
            next_ms = notifications.next_due(connection, now, self.rules.targets)
            return notifications.targets_due(connection, now), next_ms

        while (queue := await self._database.write(take_up)) is None:
            pass
        due, self._next_ms = queue
        if monotonic() >= self._count_s:
            await self.count()
        for name in due:
            state = self._states.get(name)
            if state is not None and name not in self._delivering and not state.gone and state.retry_ms <= now:
                self._delivering[name] = asyncio.create_task(self._deliver(self.rules.targets[name]), name=f"notify-{name}")

    async def count(self) -> dict[str, int]:
        """How many notifications wait for each target now.

        Raises:
            DatabaseError: It is not known.
        """
        self._count_s = monotonic() + _COUNT_EVERY_S
        self.waiting = await self._database.read(notifications.waiting)
        return self.waiting

    async def delivered(self) -> None:
        """Wait until no delivery is under way."""
        while self._delivering:
            await asyncio.wait(list(self._delivering.values()))

    async def test(self, rule: str | None) -> list[TargetResult]:
        """Send a test message to the targets of a rule, or to all: past the queue, the quiet hours and the filters.

        Raises:
            NothingToNotify: There is no target.
            UnknownRule: There is no such rule.
            Busy: Another test is under way.
        """
        if not self.rules.targets:
            raise NothingToNotify
        if rule is not None and rule not in self.rules.rules:
            raise UnknownRule(rule)
        if self._testing:
            raise Busy("Another test is under way: wait for it to end.", retry_after_s=5)
        self._testing = True
        try:
            names = self.rules.targets if rule is None else self.rules.rules[rule].targets
            return await try_targets([self.rules.targets[name] for name in names], self._clock())
        finally:
            self._testing = False

    async def _leads(self) -> bool:
        if self._may_lead is None:
            return True
        now_s = monotonic()
        if now_s >= self._ask_s:
            self._ask_s = now_s + _ASK_EVERY_S
            if await self._may_lead():
                self._lease_until_s = now_s + _LEASE_S
        return self._holds_lease

    @property
    def _holds_lease(self) -> bool:
        return not self._ending and (self._may_lead is None or monotonic() < self._lease_until_s)

    def _pause_s(self) -> float:
        until_s = _LOOK_AT_LEAST_EVERY_S if self._next_ms is None else (self._next_ms - self._clock()) / 1000
        return min(max(until_s, 0.0), _LOOK_AT_LEAST_EVERY_S)

    # ── Delivering ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _deliver(self, target: Target) -> None:
        """Deliver all that is due to a target, one after the other, until one fails for a reason that all would."""
        try:
            while self._holds_lease:
                due = partial(ready, target=target.name, now=self._clock(), limit=_ITEMS_AT_ONCE)
                items = await self._database.read(due)
                if not items or not await self._deliver_items(target, items):
                    return
        except DatabaseError as error:
            log.error("notifications wait for the database: %s", error)  # noqa: TRY400 - an expected fault
            self._states[target.name].retry_ms = self._clock().plus(ms=_AFTER_A_FAULT_MS)
        except Exception:
            log.exception("a delivery to %s failed, and is tried again", target.name)
            self._states[target.name].retry_ms = self._clock().plus(ms=_AFTER_A_FAULT_MS)
        finally:
            del self._delivering[target.name]
            self._woken.set()

    async def _deliver_items(self, target: Target, items: Sequence[Item]) -> bool:
        """Deliver these; returns whether the target can be given more."""
        for item in items:
            if not self._holds_lease:
                return False
            rule = self.rules.rules.get(item.rule)
            quiet_until = None if rule is None or rule.quiet is None else rule.quiet.end_after(self._clock())
            if item.notification_id in self._taken:  # and that could not be recorded
                await self._remove(item)
                continue
            if quiet_until is not None:
                await self._postpone(item, quiet_until, attempts=item.attempts)
                continue
            try:
                message = messages.message_of(item, self.rules.page or self._page())
            except (KeyError, ValueError, TypeError):  # of a later version, before this one was put back
                outcome = Outcome(Scope.MESSAGE, "this version cannot say it")
            else:
                outcome = await send(target, message)
            await self._record(target, item, outcome)
            if outcome.failed in {Scope.TARGET, Scope.GONE}:
                return False
        return True

    async def _record(self, target: Target, item: Item, outcome: Outcome) -> None:
        state, now = self._states[target.name], self._clock()
        if outcome.failed in {None, Scope.MESSAGE}:
            if state.failing is not None:
                log.warning("notifications reach %s again", target.name)
            state.failing, state.retry_ms = None, UtcMs(0)
        if outcome.failed is None:
            self._on_result("delivered")
            self._taken.add(item.notification_id)
            await self._remove(item)
            return
        if outcome.failed is Scope.MESSAGE and now > item.made_ms.plus(ms=_REFUSED_FOR_MS):
            await self._remove(item)
            log.error(
                "%s refused the notification %s for three days (%s): dropped", target.name, item.notification_id, outcome.detail
            )
            self._on_result("dropped")
            return
        usual_s = _RETRY_AFTER_S[min(item.attempts, len(_RETRY_AFTER_S) - 1)]
        again = now.plus(ms=int(max(usual_s, outcome.retry_after_s or 0) * 1000))
        if outcome.failed is Scope.MESSAGE:
            if not item.attempts:
                log.error("notification %s is not taken by %s (%s)", item.notification_id, target.name, outcome.detail)
        else:
            if state.failing is None:
                log.error("notifications do not reach %s (%s): they wait, and are tried again", target.name, outcome.detail)
            state.failing, state.retry_ms, state.gone = outcome.detail, again, outcome.failed is Scope.GONE
        await self._postpone(item, again, attempts=item.attempts + 1)
        self._on_result("failed")

    async def _postpone(self, item: Item, due: UtcMs, *, attempts: int) -> None:
        await self._database.write(lambda connection: notifications.postpone(connection, item, due, attempts=attempts))

    async def _remove(self, item: Item) -> None:
        await self._database.write(lambda connection: notifications.remove(connection, [item.notification_id]))
        self._taken.discard(item.notification_id)

    async def _end_deliveries(self) -> None:
        under_way = list(self._delivering.values())
        self._ending = True  # nothing more is begun
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=_ENDING_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


async def try_targets(targets: Sequence[Target], now: UtcMs) -> list[TargetResult]:
    """Send a test message to each of these targets, at once."""
    outcomes = await asyncio.gather(
        *(send(target, messages.test_message(str(uuid4()), target.name, now)) for target in targets)
    )
    return [
        TargetResult(target.name, outcome.failed is None, outcome.detail)
        for target, outcome in zip(targets, outcomes, strict=True)
    ]

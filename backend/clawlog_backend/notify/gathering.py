"""From the log of changes to rows of the queue, and from gathered rows to what is delivered. Functions of a connection.

Each is one transaction: what it reads, and what it makes of it, are stored together or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from clawlog_backend.domain.events import assigned_id
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify import happenings
from clawlog_backend.notify.messages import DIGEST, TOLD_OF
from clawlog_backend.notify.rules import DEFAULT_DIGEST_OVER, NotifiedEvent, Rule, Rules
from clawlog_backend.storage import changes, followers, notifications
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.happenings import may_be_told, tasks_told_of, unanswered
from clawlog_backend.storage.notifications import Item, State, Window

FOLLOWER = "notifications"
_CHANGES_AT_ONCE = 200
_TASKS_AT_ONCE = 1_000  # in one transaction, which writers wait for
_TIMERS_AT_ONCE = 1_000
_DIGEST_EVERY_MS = 60_000  # while much goes on happening

log = logging.getLogger(__name__)


class Gatherer:
    """Makes what happens into what is to be delivered.

    Args:
        rules: Who is told what.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._digested_ms: dict[tuple[str, str], UtcMs] = {}  # when there was one last
        self._windows: dict[tuple[str, str], UtcMs] = {}  # when they close; after a restart another one is opened beside

    def begin(self, connection: Connection) -> int:
        """Begin at the present where nothing was followed before; returns how many rows were for targets that are no more."""
        position = followers.position(connection, FOLLOWER)
        if not self._rules.rules:
            if position is not None:
                followers.forget(connection, FOLLOWER)
        elif position is None:
            followers.set_position(connection, FOLLOWER, changes.find_position(connection).seq)
        return notifications.remove_of_others(connection, self._rules.targets)

    def follow(self, connection: Connection, now: UtcMs) -> bool:
        """Queue what the next changes of the log say; returns whether there may be more."""
        since = followers.position(connection, FOLLOWER) or 0
        found = changes.following(connection, since, limit=_CHANGES_AT_ONCE)
        if not found:
            present = changes.find_position(connection).seq
            if since > present:  # the database is an older one, restored
                followers.set_position(connection, FOLLOWER, present)
            return False
        if found[0].seq != since + 1:
            log.warning("what happened in changes %d to %d is not told: they were removed unread", since + 1, found[0].seq - 1)
        taken = _portion(found)
        told = may_be_told(connection, taken)
        self._queue(connection, told, now)
        followers.set_position(connection, FOLLOWER, taken[-1].seq)
        return len(taken) < len(found) or len(found) == _CHANGES_AT_ONCE

    def run_timers(self, connection: Connection, now: UtcMs) -> bool:
        """Queue the stops that stayed unanswered for long enough; returns whether there may be more."""
        due = notifications.due_timers(connection, now, limit=_TIMERS_AT_ONCE)
        if not due:
            return False
        still = unanswered(connection, [item.detail["interrupt_id"] for item in due])
        notifications.remove(connection, [item.notification_id for item in due])
        told = [item for item in due if item.detail["interrupt_id"] in still]
        self._gather(connection, told, now)
        return len(due) == _TIMERS_AT_ONCE

    def close_windows(self, connection: Connection, now: UtcMs, unreachable: frozenset[str]) -> None:
        """Make ready what was gathered and is due, as a digest where it is much.

        Args:
            connection: In a transaction.
            now: This instant.
            unreachable: The targets for which it goes on being gathered.
        """
        for window in notifications.due_windows(connection, now, self._rules.targets.keys() - unreachable):
            rule = self._rules.rules.get(window.rule)
            quiet_until = _quiet_until(rule, now)
            if quiet_until is not None:
                notifications.hold_window(connection, window, now, quiet_until)
                continue
            most = 1 if window.held else (DEFAULT_DIGEST_OVER if rule is None else rule.digest_over)
            digest = self._digest(connection, window, now) if window.number > most else None
            if digest is not None and not window.held:
                self._digested_ms[window.rule, window.target] = now
            notifications.close_window(connection, window, now, digest)

    def _queue(self, connection: Connection, told: Sequence[Row[Any]], now: UtcMs) -> None:
        tasks = tasks_told_of(connection, {row.task_n for row in told})
        timers: list[Item] = []
        gathered: list[Item] = []
        for row in told:
            event, task = happenings.event_of(row), tasks.get(row.task_n)
            if event is None or task is None:
                continue
            # One after the other, so that what happened first is told first.
            made = now.plus(ms=len(gathered) + len(timers))
            for rule, target in self._told_to(event, task):
                item = _item(row, event, task, rule=rule, target=target, made=made)
                (timers if event is NotifiedEvent.STOP_UNANSWERED else gathered).append(item)
        notifications.add(connection, timers, State.TIMER)
        self._gather(connection, gathered, now)

    def _told_to(self, event: NotifiedEvent, task: Row[Any]) -> Iterator[tuple[Rule, str]]:
        """By which rules it is told to which targets: to each once, by the first rule that does."""
        told: set[str] = set()
        for rule in self._rules.rules.values():
            if rule.takes(event, project=task.project, host=task.host, agent=task.agent):
                for target in rule.targets:
                    if target not in told:
                        told.add(target)
                        yield rule, target

    def _gather(self, connection: Connection, items: Sequence[Item], now: UtcMs) -> None:
        if not items:
            return
        gathered = []
        for item in items:
            rule = self._rules.rules.get(item.rule)
            quiet_until = _quiet_until(rule, now)
            if quiet_until is not None and rule is not None and rule.drops_in_quiet:
                continue
            due = self._window_end(item, rule, now) if quiet_until is None else quiet_until
            gathered.append(replace(item, due_ms=due, held=quiet_until is not None))
        notifications.add(connection, gathered, State.GATHERED)

    def _window_end(self, item: Item, rule: Rule | None, now: UtcMs) -> UtcMs:
        key = item.rule, item.target
        end = self._windows.get(key)
        if end is None or end <= now:
            end = now.plus(ms=rule.gather_ms if rule else 0)
            if key in self._digested_ms:
                end = max(end, self._digested_ms[key].plus(ms=_DIGEST_EVERY_MS))
            self._windows[key] = end
        return end

    def _digest(self, connection: Connection, window: Window, now: UtcMs) -> Item:
        first = notifications.gathered(connection, window, now, limit=TOLD_OF)
        detail = {
            "at": now,
            "since": first[0].detail["at"],
            "number": window.number,
            "held": bool(window.held),
            "events": notifications.gathered_by_event(connection, window, now),
            "tasks": [item.detail | {"event": item.event} for item in first],
        }
        return Item(
            notification_id=assigned_id(first[0].notification_id, DIGEST),
            rule=window.rule,
            target=window.target,
            event=DIGEST,
            made_ms=first[0].made_ms,
            due_ms=now,
            detail=detail,
        )


def _portion(found: Sequence[Change]) -> Sequence[Change]:
    """As many changes as one transaction takes; at least one."""
    total = 0
    for place, change in enumerate(found):
        total += len(change.moved)
        if place and total > _TASKS_AT_ONCE:
            return found[:place]
    return found


def _quiet_until(rule: Rule | None, now: UtcMs) -> UtcMs | None:
    return None if rule is None or rule.quiet is None else rule.quiet.end_after(now)


def _item(row: Row[Any], event: NotifiedEvent, task: Row[Any], *, rule: Rule, target: str, made: UtcMs) -> Item:
    detail = {"at": row.at_ms, "summary": happenings.summary_of(row) or task.summary}
    detail |= {name: getattr(task, name) for name in ("task_id", "title", "host", "project", "agent")}
    due = made
    if event is NotifiedEvent.STOP_UNANSWERED:
        detail["interrupt_id"] = happenings.interrupt_id(row)
        due = UtcMs(row.received_ms).plus(ms=rule.unanswered_ms)
    return Item(
        # Made of what it is of: a database that was restored to an earlier state gives the same again.
        notification_id=assigned_id(row.event_id, f"notification/{event.value}/{rule.name}/{target}"),
        rule=rule.name,
        target=target,
        event=event.value,
        made_ms=made,
        due_ms=due,
        detail={name: value for name, value in detail.items() if value is not None},
    )

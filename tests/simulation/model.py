"""What must be true: simpler than the daemon, and blind to how it does it.

The model knows what each agent did and was answered, when processes lived, and what people asked for. It is held against every
event that a backend takes, every heartbeat that leaves, every answer about a stop, and at the end against everything at rest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from clawlogd.clock import parse_rfc3339

if TYPE_CHECKING:
    from simulation.backend import Backend
    from simulation.world import World

MARK = re.compile(r"\bm\d+x\b")
_BY_AGENT = frozenset({"task_created", "task_status", "step_status", "plan", "step_added", "metadata", "link", "interrupt_ack"})
_SIGN_GRACE_S = 15.0  # how much later than promised an agent may be found to be gone: one round of checks, and the disk's time
_ON_ITS_WAY_S = 12.0  # how long a call may take to reach the daemon, whose lease begins only then
_STOP_GRACE_S = 150.0  # how long a stop may take to be known once everything is well


class Outcome(IntEnum):
    """What an agent knows of a call of its."""

    REFUSED = 0
    UNDECIDED = 1
    ACCEPTED = 2


@dataclass
class Call:
    """A call of an agent's that is an event."""

    number: int
    event_id: str
    mark: str
    method: str
    params: dict[str, Any]
    outcome: Outcome = Outcome.UNDECIDED


@dataclass
class Stop:
    """A person's request."""

    interrupt_id: str
    at: float
    restored: int
    acknowledged: bool = False


@dataclass
class TaskModel:
    """One task, as its agent knows it.

    Attributes:
        status: As its agent reported it; ``ended`` once that was answered.
        tried_at: When the agent last sent anything, monotonic; ``heard_at``, when that was last answered by the daemon.
        open_since: Since when its backend wants it to stop, by its own word; None while it does not.
        reopened: How often it had ended for its backend and went on: a stop that outlasts that is another one to the daemon.
        sure: Whether the daemon itself has answered for the last status: what lies in the spool it may not know yet.
    """

    number: int
    task_id: str
    url: str
    lease_s: float
    pid: int | None = None
    status: str = "running"
    sure: bool = False
    created: bool = False
    tried_at: float = 0.0
    tried_wall_ms: int = 0
    heard_at: float = 0.0
    died_at: float | None = None
    steps: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    stops: dict[str, Stop] = field(default_factory=dict)
    open_since: float | None = None
    reopened: int = 0
    ended_there: bool = False

    @property
    def ended(self) -> bool:
        """Whether its agent has ended it."""
        return self.status in {"done", "failed", "interrupted"}


class Model:
    """All tasks, and the checks.

    Args:
        world: What is observed.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.tasks: dict[str, TaskModel] = {}
        self.by_number: dict[int, TaskModel] = {}
        self._applied: dict[str, set[str]] = {}  # event ids that ever took effect, by task
        self._receipts: set[tuple[str, int, int, str, str]] = set()

    # ── What backends hear ─────────────────────────────────────────────────────────────────────────────────────────

    def applied(self, backend: Backend, event: Any) -> None:
        """An event took effect at a backend."""
        self._applied.setdefault(event.task_id, set()).add(event.event_id)
        known = self.tasks.get(event.task_id)
        if known is not None:
            there = backend.held.tasks[event.task_id]
            known.reopened += known.ended_there and not there.ended
            known.ended_there = there.ended
            known.open_since = (known.open_since or self._world.loop.now) if there.stop_requested else None
        if event.kind.startswith("interrupt_") and event.kind != "interrupt_requested":
            task = self.tasks.get(event.task_id)
            receipt = (backend.url, backend.restored, task.reopened if task else 0, event.kind, event.interrupt_id or "")
            if receipt in self._receipts:
                self._world.violated(f"{event.kind} twice", task=event.task_id, stop=event.interrupt_id)
            self._receipts.add(receipt)
            if task is not None and event.kind == "interrupt_ack":
                stop = task.stops.get(event.interrupt_id)
                acks = [call for call in task.calls if call.method == "interrupt.ack" and call.event_id == event.event_id]
                if stop is None or not acks or acks[0].params["interrupt_id"] != event.interrupt_id:
                    self._world.violated(
                        "an acknowledgement that answers another stop", task=event.task_id, stop=event.interrupt_id
                    )

    def beat_sent(self, task_id: str, beat: dict[str, Any]) -> None:
        """A heartbeat leaves the daemon."""
        task, world = self.tasks.get(task_id), self._world
        if task is None:
            world.violated("a heartbeat of a task that nobody has", task=task_id)
            return
        if task.ended and task.sure:
            world.violated("a heartbeat after the end", task=task_id)
        if beat.get("evidence") == "process":
            if task.pid is None or (task.pid not in world.processes and world.loop.now - (task.died_at or 0) > 1.0):
                world.violated("a heartbeat on a process that does not run", task=task_id)
        elif (
            world.loop.now - task.tried_at > task.lease_s + _ON_ITS_WAY_S + world.put_back_s
            and (parse_rfc3339(beat["at"]) - task.tried_wall_ms) / 1000 > task.lease_s + _ON_ITS_WAY_S + world.put_back_s
        ):
            world.violated("a heartbeat without evidence", task=task_id, silent_s=round(world.loop.now - task.tried_at, 1))
        if task.status == "waiting" and task.sure and beat.get("evidence") != "process":
            world.violated("a heartbeat of an agent that waits", task=task_id)

    def declared_lost(self, task_id: str) -> None:
        """The daemon says that an agent is gone."""
        task, world = self.tasks.get(task_id), self._world
        if task is None:
            return
        if task.pid is not None:
            if task.pid in world.processes:
                world.violated("a living process's task declared lost", task=task_id)
            return
        if task.status == "waiting" and task.sure:
            world.violated("a waiting task declared lost", task=task_id)
        # A heartbeat is not on disk at once: of one that came just before a crash the next life does not know.
        elif world.loop.now - task.heard_at < task.lease_s - 0.5 - (
            world.knobs.round_s if world.crashed_at > task.heard_at else 0
        ):
            world.violated("declared lost within its lease", task=task_id, silent_s=round(world.loop.now - task.heard_at, 1))

    # ── What agents hear ───────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, task: TaskModel, asked_at: float, answer: dict[str, Any], max_age_s: float) -> None:
        """An agent asked for its stop."""
        world = self._world
        restored = world.backends[task.url].restored
        if answer["interrupt_requested"]:
            stop = task.stops.get(answer["interrupt_id"])
            if stop is None:
                world.violated("a stop that nobody requested", task=task.task_id, stop=answer["interrupt_id"])
            elif stop.acknowledged and stop.restored == restored:
                world.violated("a stop that was answered before", task=task.task_id, stop=answer["interrupt_id"])
        elif answer["state"] == "none":
            since = task.open_since
            for stop in task.stops.values():
                is_known = since is not None and since < asked_at - max_age_s
                if is_known and not stop.acknowledged and stop.restored == restored and not task.ended:
                    world.violated("'no stop' from stale knowledge", task=task.task_id, stop=stop.interrupt_id)

    # ── Now and then ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """While all goes on: nothing dead is alive for longer than promised, and a stop is known."""
        world, life = self._world, self._world.life
        if life is None or not life.serving:
            return
        now, well_since = world.loop.now, max(life.since, world.unwell_until)
        for task in self.tasks.values():
            if task.ended or not task.created or task.task_id in world.spooled_tasks:
                continue
            known = life.services.registry.find(task.task_id)
            if known is None:
                continue
            self._look_at_life(task, known, now, well_since)
            link = world.links[task.url]
            quiet_since = max(well_since, link.healthy_since)
            for stop in task.stops.values():
                is_due = (
                    link.healthy and now - max(stop.at, quiet_since) > _STOP_GRACE_S and stop.restored == link.backend.restored
                )
                at_backend = link.backend.held.tasks.get(task.task_id)
                is_due = (
                    is_due and not stop.acknowledged and at_backend is not None and at_backend.stop_requested and known.live
                )
                found = known.interrupt.interrupt_id if known.interrupt is not None else None
                if is_due and found != stop.interrupt_id:
                    world.violated("a stop that is not known", task=task.task_id, stop=stop.interrupt_id)

    def _look_at_life(self, task: TaskModel, known: Any, now: float, well_since: float) -> None:
        world = self._world
        if known.lost_ms is not None or not known.live:
            return
        if known.watched is not None:
            if task.died_at is not None and now - max(task.died_at, well_since) > _SIGN_GRACE_S:
                world.violated("a dead process's task still alive", task=task.task_id)
        elif known.status.value != "waiting":
            lease_s = max(task.lease_s, known.lease_s) + world.knobs.interval_s + world.knobs.tick_s + world.put_back_s
            if now - max(task.tried_at, well_since, world.slept_until) > lease_s + _SIGN_GRACE_S:
                world.violated("a silent agent's task still alive", task=task.task_id)

    # ── At rest ────────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> None:
        """At the end, when nothing goes wrong any more and all should be at rest."""
        world = self._world
        assert world.life is not None
        services = world.life.services
        if services.outbox.counts.waiting:
            lanes = {url: services.outbox.counts.pending[services.outbox.lane(url)] for url in services.outbox.base_urls}
            held = {"dead": services.outbox.counts.dead.total(), "held": services.outbox.counts.held.total()}
            world.violated("something waits for ever", pending=json.dumps({**lanes, **held}, sort_keys=True))
        if services.outbox.lost or services.outbox.rows_set_aside or services.runtime.damaged:
            world.violated("records lost or damaged", lost=services.outbox.lost)
        if world.spool.files or world.spool.refused:
            world.violated("something stays in the spool", files=len(world.spool.files), refused=str(world.spool.refused)[:300])
        for task in self.tasks.values():
            self._judge(task)
        live = {task.task_id for task in services.registry if task.live}
        left = sorted(services.heartbeats._scheduled.keys() - live)  # noqa: SLF001 - a timer without a reason is not seen from outside
        if left:
            world.violated("heartbeats scheduled of tasks that are over", tasks=" ".join(left))
        running = sorted(each.get_name() for each in world.life.tasks if not each.done())
        if len(running) > 30 + 2 * len(self.tasks):
            world.violated("tasks of the loop are left", names=" ".join(running)[:500])
        timers = len(world.loop.live_timers())
        if timers > 60:
            world.violated("timers are left", count=timers)

    def _judge(self, task: TaskModel) -> None:
        world = self._world
        backend = world.backends[task.url]
        marks = {call.mark: call for call in task.calls}
        ids = {call.event_id: call for call in task.calls}
        furthest = -1
        seen: set[int] = set()
        for event in backend.held.history:
            if event.task_id != task.task_id or event.kind not in _BY_AGENT:
                continue
            named = MARK.search(getattr(event, "summary", None) or "")
            call = ids.get(event.event_id) or (marks.get(named[0]) if named and not backend.restored else None)
            if call is None:
                continue  # the daemon's own: a resumed status, or a task told anew
            if call.number in seen:
                world.violated("an event twice", task=task.task_id, call=call.number, method=call.method)
            if call.outcome is Outcome.REFUSED:
                world.violated("an event that was refused", task=task.task_id, call=call.number, method=call.method)
            if call.number < furthest:
                world.violated("an event out of order", task=task.task_id, call=call.number, after=furthest)
            seen.add(call.number)
            furthest = max(furthest, call.number)
        ever = self._applied.get(task.task_id, set())
        for call in task.calls:
            if call.outcome is Outcome.ACCEPTED and call.event_id not in ever and call.number not in seen:
                world.violated("an accepted event lost", task=task.task_id, call=call.number, method=call.method)
        self._compare(task, backend)

    def _compare(self, task: TaskModel, backend: Backend) -> None:
        world = self._world
        assert world.life is not None
        if not task.created or any(call.outcome is Outcome.UNDECIDED for call in task.calls):
            return
        there, here = backend.held.tasks.get(task.task_id), world.life.services.registry.find(task.task_id)
        if there is None:
            if (
                here is not None
                and here.live
                and task.task_id not in world.spooled_tasks
                and world.loop.now - task.heard_at < 60
            ):
                world.violated("a task that its backend does not know", task=task.task_id)
            return
        if here is not None and here.status.value != task.status and (task.ended or task.status == "waiting"):
            world.violated("the daemon has another status", task=task.task_id, expected=task.status, found=here.status.value)
        if backend.restored:
            return
        if (task.ended or task.status == "waiting") and there.status.value != task.status:
            world.violated("the backend has another status", task=task.task_id, expected=task.status, found=there.status.value)
        for step_id, status in task.steps.items():
            found = there.steps.get(step_id)
            if found is None or found.status.value != status:
                world.violated("a step has another status", task=task.task_id, step=step_id, expected=status)
        if backend.has_batch and not task.ended and there.lost != (here is not None and here.lost_ms is not None):
            world.violated("lost here and not there", task=task.task_id)

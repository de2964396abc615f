"""What must be true: simpler than the daemon, and blind to how it does it.

The model knows what agents did and were answered, when processes lived, and what people asked for (``records.py``). It is held
against every event that a backend takes, every heartbeat that leaves, every answer about a stop, and at the end against
everything at rest.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from clawlogd.clock import parse_rfc3339
from simulation.foreign import STEP_WORDS, TASK_WORDS
from simulation.lives import Lost
from simulation.records import ENDED, Outcome, SessionModel, Sign, Stop, TaskModel

if TYPE_CHECKING:
    from simulation.backend import Backend
    from simulation.foreign import ForeignServer
    from simulation.world import World

MARK = re.compile(r"\bm\d+x\b")
_OF_STEPS = frozenset({"task_created", "plan", "step_added", "step_status"})
_STEP_ENDED = frozenset({"done", "failed", "skipped"})
_BY_AGENT = frozenset({"task_created", "task_status", "step_status", "plan", "step_added", "metadata", "link", "interrupt_ack"})
_SIGN_GRACE_S = 15.0  # how much later than promised an agent may be found to be gone: one round of checks, and the disk's time
_MOMENT_S = 0.1
_ROUND_S = 1.5  # how long a round of single requests may take
_UNRECORDED_S = 60.0  # how rarely, at most, the daemon says that it cannot record a loss
_STOP_GRACE_S = 150.0  # how long a stop may take to be known once everything is well


class Model:
    """All tasks, and the checks.

    Args:
        world: What is observed.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.tasks: dict[str, TaskModel] = {}
        self._applied: dict[str, set[str]] = {}  # event ids that ever took effect, by task
        self._receipts_refused = 0
        self._receipts: Counter[tuple[str, int, str, str]] = Counter()
        self._unrecorded_at = -math.inf

    # ── What backends hear ─────────────────────────────────────────────────────────────────────────────────────────

    def applied(self, backend: Backend, event: Any) -> None:
        """An event took effect at a backend."""
        self._applied.setdefault(event.task_id, set()).add(event.event_id)
        task = self.tasks.get(event.task_id)
        if task is not None:
            self.note_stop(task, event)
        if event.kind.startswith("interrupt_") and event.kind != "interrupt_requested":
            receipt = (backend.url, backend.restored, event.kind, event.interrupt_id or "")
            self._receipts[receipt] += 1
            known = task.stops.get(event.interrupt_id) if task is not None else None
            if self._receipts[receipt] > 1 + (task.reopened - known.reopened if task is not None and known is not None else 0):
                self._world.violated(f"{event.kind} twice", task=event.task_id, stop=event.interrupt_id)
            if task is not None and event.kind == "interrupt_ack" and not task.is_session:
                stop = task.stops.get(event.interrupt_id)
                acks = [call for call in task.calls if call.method == "interrupt.ack" and call.event_id == event.event_id]
                if stop is None or not acks or acks[0].params["interrupt_id"] != event.interrupt_id:
                    self._world.violated(
                        "an acknowledgement that answers another stop", task=event.task_id, stop=event.interrupt_id
                    )

    def requested(self, task: TaskModel, interrupt_id: str, restored: int) -> None:
        """A person has asked a task to stop."""
        now = self._world.loop.now
        task.requested, task.open_since = interrupt_id, now
        if isinstance(task, SessionModel) and task.stop_since is None:
            task.stop_since = now
        task.stops.setdefault(interrupt_id, Stop(interrupt_id, now, restored, task.reopened))

    def restored(self, backend: Backend) -> None:
        """A backend was put back: what it knew of stops is not known."""
        for task in self.tasks.values():
            if task.url == backend.url:
                task.requested = task.open_since = task.reported_there = None
                task.steps_there, task.over_there, task.ended_there = {}, False, False

    def note_stop(self, task: TaskModel, event: Any) -> None:
        """Notes what an event means to a stop: one is open until it is answered, and while its task has not ended there.

        A task ends by its agent's word, and, where that was none or ``running``, with its last step.
        """
        now, steps = self._world.loop.now, task.steps_there
        match event.kind:
            case "interrupt_ack" if not event.interrupt_id or event.interrupt_id == task.requested:
                task.requested = None
                if task.reported_there not in ENDED:
                    task.reported_there = "interrupted"
            case "task_status":
                task.reported_there = event.status
            case "task_created" | "plan" if hasattr(event, "steps"):
                ids = event.step_ids() if event.kind == "task_created" else [each.step_id for each in event.steps]
                task.steps_there = {
                    step_id: str(getattr(each, "status", None) or "pending")
                    for step_id, each in zip(ids, event.steps, strict=True)
                }
            case "step_added":
                steps.setdefault(event.step_id, "pending")
            case "step_status" if hasattr(event, "step_id"):
                steps[event.step_id] = str(event.status)
        was, ended = task.ended_there, bool(task.steps_there) and _STEP_ENDED.issuperset(task.steps_there.values())
        if event.kind in _OF_STEPS:
            task.over_there = ended and task.reported_there in {None, "running"}
        elif event.kind == "task_status":
            task.over_there = False
        task.ended_there = task.reported_there in ENDED or task.over_there
        task.reopened += was and not task.ended_there
        if task.ended_there or task.requested is None:
            task.open_since = None
        elif was:
            task.open_since = now

    def beat_sent(self, task_id: str, beat: dict[str, Any]) -> None:
        """A heartbeat leaves the daemon."""
        task, world = self.tasks.get(task_id), self._world
        if task is None:
            world.violated("a heartbeat of a task that nobody has", task=task_id)
            return
        is_sure = task.sure and not task.asked  # what is on its way may have opened it again
        if task.ended and is_sure:
            world.violated("a heartbeat after the end", task=task_id)
        lease_s = task.lease_s + world.put_back_s + _MOMENT_S + (world.knobs.sign_s if task.is_session else 0)
        if "evidence" not in beat:  # of another shape: it does not say when that was true, and others of its round come first
            lease_s += _ROUND_S
        evidence = beat.get("evidence") or ("command" if task.pid is None else "process")  # another shape does not say it
        if evidence == "process":
            if task.pid is None or (task.pid not in world.processes and world.loop.now - (task.died_at or 0) > 1.0):
                world.violated("a heartbeat on a process that does not run", task=task_id)
        elif task.silent_s(world) > lease_s and (parse_rfc3339(beat["at"]) - task.handled_wall_ms) / 1000 > lease_s:
            world.violated("a heartbeat without evidence", task=task_id, silent_s=round(task.silent_s(world), 1))
        if isinstance(task, SessionModel):
            self._look_at_sign(task, beat)
        if task.status == "waiting" and is_sure and evidence != "process":
            world.violated("a heartbeat of an agent that waits", task=task_id)

    def sign_left(self, task: SessionModel) -> None:
        """A hook leaves a sign: in a round's time the daemon has heard of its agent, as by a call.

        Not where it still has to read that a turn has begun: until then the task may end by a stop, and its file with it.
        """
        world = self._world
        if task.task_id in world.spooled_tasks:
            return
        sign = Sign(world.life, world.loop.now, world.wall_ms(), world.put_back_s)
        world.loop.call_later(world.knobs.sign_s + _MOMENT_S, self._sign_read, task, sign)

    def _sign_read(self, task: SessionModel, sign: Sign) -> None:
        if self._world.life is sign.life:
            task.signed, task.heard_at = sign, max(task.heard_at, sign.at)
            task.all_heard.append(sign.at)

    def _look_at_sign(self, task: SessionModel, beat: dict[str, Any]) -> None:
        """A heartbeat says when the agent was seen: not before the newest sign that was read."""
        world, sign = self._world, task.signed
        if sign is not None and sign.life is world.life:
            seen_since_ms = parse_rfc3339(beat["agent_seen_at"]) - sign.wall_ms
            if seen_since_ms + (world.put_back_s - sign.put_back_s) * 1000 < -1:
                world.violated("a heartbeat that does not know of a sign", task=task.task_id, late_ms=-seen_since_ms)

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
        # When an agent was heard of is not on disk at once: what came just before a crash the next life may not know.
        elif world.silence_known_s(task) < (task.patience_s or task.lease_s) - 0.5:
            world.violated("declared lost within its lease", task=task_id, silent_s=round(world.loop.now - task.heard_at, 1))

    def loss_unrecorded(self) -> None:
        """The daemon says that it cannot record that an agent is gone: its outbox is at its bound, or the disk fails."""
        self._unrecorded_at = self._world.loop.now

    def spool_read(self) -> None:
        """Nothing is left in the spool: an agent that is heard of by it has the grace of one heartbeat."""
        for task_id in self._world.spooled_tasks & self.tasks.keys():
            self.tasks[task_id].read_at = self._world.loop.now

    def receipt_refused(self, task_id: str) -> None:
        """The daemon kept a receipt as a dead letter: a backend that was put back does not know the stop."""
        task = self.tasks.get(task_id)
        if task is not None and self._world.backends[task.url].restored:
            self._receipts_refused += 1

    # ── What agents hear ───────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, task: TaskModel, asked_at: float, answer: dict[str, Any], max_age_s: float) -> None:
        """An agent asked for its stop."""
        world = self._world
        restored = world.backends[task.url].restored
        if answer["interrupt_requested"]:
            stop = task.stops.get(answer["interrupt_id"])
            if stop is None:
                world.violated("a stop that nobody requested", task=task.task_id, stop=answer["interrupt_id"])
            elif stop.acknowledged and stop.restored == restored and task.task_id not in world.spooled_tasks:
                world.violated("a stop that was answered before", task=task.task_id, stop=answer["interrupt_id"])
        elif answer["state"] == "none":
            since = task.open_since
            for stop in task.stops.values():
                is_known = since is not None and since < asked_at - max_age_s
                if is_known and not stop.acknowledged and stop.restored == restored and not task.ended:
                    world.violated("'no stop' from stale knowledge", task=task.task_id, stop=stop.interrupt_id)

    def answered(self, task: SessionModel, answer: dict[str, Any], event: str) -> None:
        """A hook's report was answered."""
        if answer["task_id"] != task.task_id:
            self._world.violated("a session has another task", task=task.task_id, found=answer["task_id"])
        if answer["decision"] == "stop":
            if event == "prompt" and task.stop_since is None and not task.stop_may_come:
                self._world.violated("a person spoke, and the session is still held", task=task.task_id)
            self.held_back(task, answer["interrupt_id"])

    def held_back(self, task: SessionModel, interrupt_id: str) -> None:
        """A session is held."""
        if interrupt_id not in task.stops:
            self._world.violated("a hold that nobody asked for", task=task.task_id, stop=interrupt_id)

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
                is_due = is_due and stop.interrupt_id == task.requested and known.live and task.open_since is not None
                is_due = is_due and now - (task.open_since or now) > _STOP_GRACE_S and not stop.acknowledged
                found = known.interrupt.interrupt_id if known.interrupt is not None else None
                if is_due and found != stop.interrupt_id:
                    world.violated("a stop that is not known", task=task.task_id, stop=stop.interrupt_id)

    async def look_through(self, limit: int) -> None:
        """Asks for all tasks, page by page: each that is there before and after is given once."""
        world, life = self._world, self._world.life
        if life is None or not life.serving:
            return
        before = {task.task_id for task in life.services.registry}
        found: list[str] = []
        cursor: str | None = None
        try:
            caller = await life.connect(whole=False)
            while True:
                params: dict[str, Any] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
                async with asyncio.timeout(30):
                    reply = await caller.begin("task.list", params)
                if "error" in reply:
                    return
                page = reply["result"]
                if len(page["tasks"]) > limit:
                    world.violated("a page of more tasks than were asked for", limit=limit)
                found += [each["task_id"] for each in page["tasks"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
        except (Lost, TimeoutError):
            return
        world.log("listed", tasks=len(found))
        missing = (before & {task.task_id for task in life.services.registry}) - set(found)
        if missing or len(set(found)) < len(found):
            world.violated("pages that miss or repeat tasks", missing=" ".join(sorted(missing)), found=len(found))

    def _look_at_life(self, task: TaskModel, known: Any, now: float, well_since: float) -> None:
        world = self._world
        if known.lost_ms is not None or not known.live or now - self._unrecorded_at < _UNRECORDED_S:
            return
        if known.watched is not None:
            if not world.rhythm.slow and task.died_at is not None and now - max(task.died_at, well_since) > _SIGN_GRACE_S:
                world.violated("a dead process's task still alive", task=task.task_id)
        elif known.status.value != "waiting":
            lease_s = task.patience_s or max(task.lease_s, known.lease_s)
            lease_s += world.knobs.interval_s + world.knobs.tick_s + world.put_back_s
            heard_at = now - task.silent_s(world)
            is_due = now - task.read_at > world.knobs.interval_s + world.knobs.tick_s + _SIGN_GRACE_S and not world.rhythm.slow
            if is_due and now - max(heard_at, well_since, world.slept_until) > lease_s + _SIGN_GRACE_S:
                world.violated("a silent agent's task still alive", task=task.task_id)

    # ── At rest ────────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> None:
        """At the end, when nothing goes wrong any more and all should be at rest."""
        world = self._world
        assert world.life is not None
        services = world.life.services
        if services.outbox.counts.waiting > self._receipts_refused:
            lanes = {url: services.outbox.counts.pending[services.outbox.lane(url)] for url in services.outbox.base_urls}
            held = {"dead": services.outbox.counts.dead.total(), "held": services.outbox.counts.held.total()}
            world.violated("something waits for ever", pending=json.dumps({**lanes, **held}, sort_keys=True))
        if services.outbox.lost or services.outbox.rows_set_aside or services.runtime.damaged:
            world.violated("records lost or damaged", lost=services.outbox.lost)
        refused = [each for each in (*world.spool.refused.values(), *world.drop.refused.values()) if not self._is_moot(each)]
        is_full = len(list(services.registry)) >= world.knobs.most_tasks
        left = [name for files in (world.spool, world.drop) for name in files.files]
        if refused or (left and not is_full):
            world.violated("something stays in the spool", files=len(left), refused=str(refused)[:300])
        kept_out = world.tasks_in(world.spool, world.drop)
        for task in self.tasks.values():
            if task.task_id in kept_out:
                if services.registry.find(task.task_id) is not None:
                    world.violated("the spool keeps something of a task that is known", task=task.task_id)
            elif isinstance(task, SessionModel):
                self._judge_session(task)
            else:
                self._judge(task)
        live = {task.task_id for task in services.registry if task.live}
        over = sorted(services.heartbeats._scheduled.keys() - live)  # noqa: SLF001 - a timer without a reason is not seen from outside
        if over:
            world.violated("heartbeats scheduled of tasks that are over", tasks=" ".join(over))
        running = sorted(each.get_name() for each in world.life.tasks if not each.done())
        if len(running) > 30 + 2 * len(self.tasks):
            world.violated("tasks of the loop are left", names=" ".join(running)[:500])
        timers = len(world.loop.live_timers())
        if timers > 60:
            world.violated("timers are left", count=timers)

    def _is_moot(self, refused: str) -> bool:
        """Whether a file was set aside because it answers a stop that was over when it was read, as promised."""
        if "no stop is known here" not in refused:
            return False
        for task in self.tasks.values():
            for call in task.calls:
                if call.method == "interrupt.ack" and call.event_id in refused:
                    call.outcome = Outcome.REFUSED
                    task.status, task.sure = "either", False
        return True

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
            if call is None or (call.method == "interrupt.ack" and event.kind == "task_status"):
                continue  # the daemon's own: a resumed status, one that was answered for again, or a task told anew
            if call.number in seen:
                if backend.knows_keys:
                    world.violated("an event twice", task=task.task_id, call=call.number, method=call.method)
                continue
            if call.outcome is Outcome.REFUSED:
                world.violated("an event that was refused", task=task.task_id, call=call.number, method=call.method)
            if call.number < furthest:
                world.violated("an event out of order", task=task.task_id, call=call.number, after=furthest)
            seen.add(call.number)
            furthest = max(furthest, call.number)
        ever = self._applied.get(task.task_id, set())
        for call in task.calls:
            if call.outcome is not Outcome.ACCEPTED or call.event_id in ever or call.number in seen:
                continue
            if backend.restored and call.method == "interrupt.ack":
                continue  # of a stop that the backend does not know any more: a dead letter
            if backend.knows_keys or call.method in _MARKED:  # elsewhere only what bears a mark is known again
                world.violated("an accepted event lost", task=task.task_id, call=call.number, method=call.method)
        self._compare(task, backend)

    def _compare(self, task: TaskModel, backend: Backend | ForeignServer) -> None:
        world = self._world
        assert world.life is not None
        if not task.created or any(call.outcome is Outcome.UNDECIDED for call in task.calls):
            return
        here = world.life.services.registry.find(task.task_id)
        if here is not None and here.status.value != task.status and (task.ended or task.status == "waiting"):
            world.violated("the daemon has another status", task=task.task_id, expected=task.status, found=here.status.value)
        if not backend.knows_keys:
            self._compare_foreign(task, here, backend)
            return
        there = backend.held.tasks.get(task.task_id)
        if there is None:
            if (
                here is not None
                and here.live
                and task.task_id not in world.spooled_tasks
                and world.loop.now - task.heard_at < 60
            ):
                world.violated("a task that its backend does not know", task=task.task_id)
            return
        if backend.restored:
            return
        if (task.ended or task.status == "waiting") and there.status.value != task.status:
            world.violated("the backend has another status", task=task.task_id, expected=task.status, found=there.status.value)
        for step_id, status in task.steps.items():
            found = there.steps.get(step_id)
            if found is None or found.status.value != status:
                world.violated("a step has another status", task=task.task_id, step=step_id, expected=status)
        if backend.has_batch:
            self._compare_loss(task, here, there)

    def _compare_loss(self, task: TaskModel, here: Any, there: Any) -> None:
        if here is not None and not here.status.ended and there.lost != (here.lost_ms is not None):
            self._world.violated("lost here and not there", task=task.task_id)

    def _compare_foreign(self, task: TaskModel, here: Any, server: Any) -> None:
        """What a server of another shape shows of a task, in its own words, as far as it has any."""
        there = server.held.tasks.get(here.remote_id) if here is not None and here.remote_id is not None else None
        if here is None:
            return
        if there is None:
            self._world.violated("a task that its server does not know", task=task.task_id)
            return
        expected = TASK_WORDS.get(task.status) if task.ended else None
        if expected is not None and there.status != expected:
            self._world.violated("the server has another status", task=task.task_id, expected=expected, found=there.status)
        for (_, found), status in zip(there.steps, task.steps.values(), strict=True):
            if status in STEP_WORDS and status != "pending" and found != STEP_WORDS[status]:
                self._world.violated("a step has another status there", task=task.task_id, expected=status, found=found)

    def _judge_session(self, task: SessionModel) -> None:
        world = self._world
        assert world.life is not None
        backend, here = world.backends[task.url], world.life.services.registry.find(task.task_id)
        if here is None or here.session is None:
            if task.created and here is not None:
                world.violated("a session's task is no session's", task=task.task_id)
            return
        found = here.status.value
        allowed = {"waiting", "running"} if task.status == "either" else {task.status}
        if task.stops:
            allowed |= {"interrupted"}
        if task.died_at is not None and not task.in_turn:
            allowed |= {"done"}
        if here.lost_ms is None and found not in allowed:
            world.violated("a session has another status", task=task.task_id, expected=" ".join(sorted(allowed)), found=found)
        if here.session.turns != task.turns:
            world.violated("a session has other turns", task=task.task_id, expected=task.turns, found=here.session.turns)
        hold = world.life.folder / "run" / "agent-stops" / task.agent / task.session_id
        if hold.exists() != (here.session.held is not None):
            world.violated("a hold's file is not as it should be", task=task.task_id, held=here.session.held)
        is_held = here.session.held is not None
        if is_held and task.stop_since is None and not task.stop_may_come:
            world.violated("a session is held for nothing", task=task.task_id)
        there = backend.held.tasks.get(task.task_id)
        if there is None or backend.restored:
            return
        if there.status.value != found:
            world.violated("a session's backend has another status", task=task.task_id, here=found, there=there.status.value)
        shown = {step.step_id: step.status for step in here.steps}
        if shown != {step_id: step.status.value for step_id, step in there.steps.items()}:
            world.violated("a session's steps differ", task=task.task_id)
        self._compare_loss(task, here, there)


_MARKED = frozenset({"task.update", "step.update"})
"""The calls whose words a server of another shape shows."""

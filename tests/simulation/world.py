"""One run: a plan carried out on simulated time, and what was found wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawlog.protocol.spool import decode
from clawlogd.clock import rfc3339
from clawlogd.settings import Agents, Heartbeat, LiveSettings, Metadata, OutboxBounds, Poll, Settings, Tasks
from clawlogd.settings import Backend as BackendSettings
from clawlogd.verbs.agents import own_task_id
from simulation.agents import Agent
from simulation.backend import Backend, Reply
from simulation.disk import Room, SpoolFiles
from simulation.foreign import CONTRACT, ForeignServer
from simulation.lives import LIFE, Life, Observer
from simulation.loop import SimLoop, SimTask
from simulation.model import Model
from simulation.network import Link, exchange
from simulation.older import make_older
from simulation.plan import URLS, Item, Plan
from simulation.records import TaskModel
from simulation.rhythm import Rhythm
from simulation.seams import simulated, total_s
from simulation.sessions import PATIENCE_S, SessionAgent
from simulation.ways import file_content

_EPOCH_MS = 1_800_000_000_000
_REST_S = 1800.0
_MOST_VIOLATIONS = 20
_SHARED_MEMORY = Path("/dev/shm")


_OF_LINKS = frozenset({"outage", "bad", "slow", "restore", "hangup", "backup"})


@dataclass
class Result:
    """What came of a run.

    Attributes:
        plan: The plan.
        violations: What was found wrong, each with when.
        log: Everything that happened, a line each.
        counts: How often what happened.
    """

    plan: Plan
    violations: list[str]
    log: list[str]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What is the same for two runs of one plan."""
        return hashlib.sha256("\n".join(self.log).encode()).hexdigest()


class World:
    """Everything around the daemon.

    Args:
        plan: What happens.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.knobs = plan.knobs
        self.loop = SimLoop()
        self.loop.execute = self._execute
        self.loop.on_task = self._note_task
        self.began = self.loop.now
        self._asleep_ms = self._step_ms = 0
        self.daemon_draw = self.fork("daemon")
        self.rhythm = Rhythm(self)
        self.disk_draw = self.fork("disk")
        self.caller_draw = self.fork("callers")
        self.processes: dict[int, int] = {}
        self.spool, self.drop = SpoolFiles(), SpoolFiles()
        self.spooled_tasks: set[str] = set()
        self._spool_number = 0
        self.disk_fails = False
        self.disk_stall_s = 0.0
        self.room: Room | None = None
        self.unwell_until = 0.0
        self.slept_until = 0.0
        self.put_back_s = self.put_forward_s = 0.0
        self.unwell_since = 0.0
        self.forgotten: list[tuple[float, float]] = []  # from when to when what was heard is not on disk
        self.model = Model(self)
        self.backends: dict[str, Any] = {}
        for number, url in enumerate(URLS[:2]):
            self.backends[url] = backend = Backend(url, has_batch=number == 0, clock=self.true_ms, heard=lambda _: None)
            backend._heard = lambda event, backend=backend: self._applied(backend, event)  # noqa: SLF001
        self.backends[URLS[2]] = ForeignServer(
            URLS[2], flag_stays=self.knobs.flag_stays, clock=self.true_ms, named=self._named, heard=self._told
        )
        self.links = {url: Link(backend, self.fork(url)) for url, backend in self.backends.items()}
        self.life: Life | None = None
        self._changing = asyncio.Lock()
        self._lives = 0
        self._marks = 0
        self._lines: list[str] = []
        self._counts: dict[str, int] = {}
        self.violations: list[str] = []
        self._main: asyncio.Task[None] | None = None
        root = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        self._root = Path(tempfile.mkdtemp(prefix="clawlog-simulation-", dir=root))
        self._image: Path | None = None
        self.settings = self._make_settings()
        self._live_settings = LiveSettings(self.settings)

    def _make_settings(self) -> Settings:
        knobs, backends = self.knobs, ()
        if knobs.written_contract:
            contract = self._root / "foreign.toml"
            contract.write_text(CONTRACT, encoding="utf-8")
            backends = (BackendSettings(base_url=URLS[2], contract=str(contract)),)
        return Settings(
            base_url=URLS[0],
            backend=backends,
            outbox=OutboxBounds(ballast_bytes=4096, max_events=knobs.most_events),
            heartbeat=Heartbeat(interval_s=knobs.interval_s, jitter_s=2.0, lease_s=knobs.lease_s),
            poll=Poll(wait_s=knobs.poll_wait_s, interval_s=20.0 if knobs.has_plain or knobs.has_foreign else 2.0),
            metadata=Metadata(automatic=False),
            tasks=Tasks(max_known=knobs.most_tasks),
            agents=Agents(lost_after_s=PATIENCE_S),
        )

    def fork(self, name: str) -> random.Random:
        """Chance of its own for one part: what another draws does not change it."""
        return random.Random(f"{self.plan.seed} {name}")

    # ── Time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def elapsed_s(self) -> float:
        """How long it has gone on, sleep included."""
        return self.loop.now - self.began + self._asleep_ms / 1000

    def true_ms(self) -> int:
        """The time by a clock that nobody steps."""
        return _EPOCH_MS + round(self.elapsed_s * 1000)

    def wall_ms(self) -> int:
        """The time by the machine's clock."""
        return self.true_ms() + self._step_ms

    def monotonic(self) -> float:
        """Stands still while the machine sleeps."""
        return self.loop.now

    # ── What is noted ──────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, event: str, /, **fields: object) -> None:
        """Notes what happened."""
        self._counts[event] = self._counts.get(event, 0) + 1
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        self._lines.append(f"{self.elapsed_s:.4f} {event} {told}".rstrip())

    def violated(self, what: str, /, **fields: object) -> None:
        """Notes that something is not as it must be."""
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        self.violations.append(f"{what}: {told}")
        self.log("VIOLATED", what=what, **fields)
        if len(self.violations) == _MOST_VIOLATIONS and self._main is not None:
            self._main.cancel()

    def _note_unhandled(self, _: object, told: dict[str, Any]) -> None:
        """What nobody has caught."""
        self.violated("a fault that nobody caught", message=told["message"], error=repr(told.get("exception")))

    def next_mark(self) -> str:
        """A text that stands in one call alone."""
        self._marks += 1
        return f"m{self._marks}x"

    def _applied(self, backend: Backend, event: Any) -> None:
        if event.kind != "heartbeat":
            self.log("applied", at=backend.url, task=self._name(event.task_id), kind=event.kind, event=event.event_id[-12:])
            self.model.applied(backend, event)
        else:
            self._counts["beat"] = self._counts.get("beat", 0) + 1

    def _named(self, name: str) -> str:
        """The model's id of a task, by its title."""
        return next((each.task_id for each in self.model.tasks.values() if f"task {each.number}" == name), name)

    def _told(self, told: Any) -> None:
        self.log("told", task=self._name(told.task_id), kind=told.kind, status=told.status)
        task = self.model.tasks.get(told.task_id)
        if task is not None:
            self.model.note_stop(task, told)

    def _name(self, task_id: str) -> object:
        task = self.model.tasks.get(task_id)
        return task.number if task is not None else task_id

    def tried(self, task: TaskModel) -> None:
        """An agent sends something."""
        task.tried_at, task.tried_wall_ms = self.loop.now, self.wall_ms()

    def heard(self, task: TaskModel) -> None:
        """The daemon has answered an agent."""
        task.heard_at = task.tried_at
        task.all_heard.append(task.heard_at)

    def silence_known_s(self, task: TaskModel) -> float:
        """For how long an agent has been silent, as far as the daemon can know: what was not on disk yet goes with it.

        A daemon that has begun since goes by the machine's clock, which runs on in its sleep, and may be put forward.
        """
        forgotten = self.forgotten
        heard_at = max((at for at in task.all_heard if not any(since < at < until for since, until in forgotten)), default=0.0)
        ahead_s = self._asleep_ms / 1000 + self.put_forward_s
        return self.loop.now - heard_at + (ahead_s if self.life is not None and self.life.since > heard_at else 0.0)

    # ── What others do ─────────────────────────────────────────────────────────────────────────────────────────────

    def begin_process(self) -> int:
        """A process begins. Returns its number."""
        pid = 5000 + len(self.model.tasks)
        self.processes[pid] = 100_000 + pid
        return pid

    def end_process(self, task: TaskModel) -> None:
        """A task's process ends."""
        assert task.pid is not None
        descriptor = self.processes.pop(task.pid)
        task.died_at = self.loop.now
        self.log("process_ended", task=task.number)
        self.loop.make_readable(descriptor)

    def person_stops(self, task: TaskModel) -> None:
        """A person asks a task to stop."""
        backend = self.backends[task.url]
        interrupt_id = backend.request_stop(task.task_id, f"stop-{self.next_mark()}", f"enough of {task.number}")
        self.log("person_stops", task=task.number, stop=interrupt_id)
        if interrupt_id is not None and interrupt_id != task.requested:
            self.model.requested(task, interrupt_id, backend.restored)

    def write_down(self, task: TaskModel, method: str, params: dict[str, Any], *, dropped: bool = False) -> bool:
        """A program writes a call down. Returns whether it can: not while the disk fails or is full."""
        if self.disk_fails or self.room is not None:
            return False
        self._spool_number += 1
        content = file_content(self.wall_ms(), method, params, sandboxed=dropped)
        (self.drop if dropped else self.spool).write(f"{self._spool_number:020d}.call", content)
        self.spooled_tasks.add(task.task_id)
        task.handled(self)
        return True

    def tasks_in(self, *places: SpoolFiles) -> set[str]:
        """The tasks of which files lie in places."""
        calls = [each for place in places for content in place.files.values() for each in decode(content).requests]
        return {
            own_task_id(params["agent"], params["session_id"]) if method == "agent.event" else params["task_id"]
            for method, params in calls
        }

    # ── The daemon's world ─────────────────────────────────────────────────────────────────────────────────────────

    def _execute(self, func: Any, args: Any) -> asyncio.Future[Any]:
        life = LIFE.get()
        assert life is not None
        return life.disk.execute(func, args)

    def _note_task(self, task: SimTask) -> None:
        life = LIFE.get()
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)

    async def exchange(self, base_url: str, request: Any, limits: Any) -> tuple[Reply, dict[str, str]]:
        """One request of the daemon's."""
        life = LIFE.get()
        if life is None or life.dead:
            await asyncio.sleep(3600)
            raise ConnectionError
        self._look_at_request(base_url, request)
        link = self.links[base_url]
        path = request.path
        return await exchange(link, request.method, path, request.body, request.key, *total_s(limits, self._live_settings))

    def _look_at_request(self, base_url: str, request: Any) -> None:
        if request.path == "/api/events":
            for event in json.loads(request.body)["events"]:
                if event["kind"] == "heartbeat":
                    self.model.beat_sent(event["task_id"], event)
        elif request.path.endswith("/heartbeat"):
            task_id, beat = request.path.split("/")[3], json.loads(request.body)
            if base_url == URLS[2]:
                if str(beat.get("message")).startswith("agent lost"):
                    return  # which is said by the same route
                task_id = self._named(self.backends[base_url].held.tasks[task_id].name)
                beat["at"] = rfc3339(self.wall_ms())
            self.model.beat_sent(task_id, beat)

    # ── Lives of the daemon ────────────────────────────────────────────────────────────────────────────────────────

    async def _begin_life(self) -> None:
        while True:
            self._lives += 1
            folder = self._root / f"life-{self._lives}"
            if self._image is None:
                folder.mkdir(mode=0o700)
            else:
                self._image.rename(folder)
            life = Life(self, folder, self._lives)
            self.log("start", life=self._lives)
            if await life.start():
                self.life = life
                self.log("serves", life=self._lives)
                return
            self._image = folder
            await asyncio.sleep(5)

    async def _end_life(self, *, in_order: bool) -> None:
        life, self.life = self.life, None
        if life is None:
            return
        now, kept_s = self.loop.now, self.knobs.round_s + 1.0
        is_unwell = now < self.unwell_until + kept_s  # then its end does not write it down either
        if is_unwell or not in_order:
            self.forgotten.append(((self.unwell_since if is_unwell else now) - kept_s, now))
        if in_order:
            self._image = await life.end()
            return
        self._image = self._root / f"image-{self._lives}"
        await life.crash(self._image)

    # ── What goes wrong ────────────────────────────────────────────────────────────────────────────────────────────

    async def _fault(self, item: Item) -> None:
        link = self.links[URLS[item.args[0]]] if item.kind in _OF_LINKS else None
        self.log("fault", kind=item.kind, args=item.args)
        match item.kind:
            case "crash" | "restart":
                async with self._changing:
                    await self._end_life(in_order=item.kind == "restart")
                    await asyncio.sleep(item.args[0])
                    await self._begin_life()
            case "suspend":
                self._asleep_ms += round(item.args[0] * 1000)
                self.slept_until = self.loop.now + self.knobs.tick_s + self.knobs.lease_s
                for backend in self.backends.values():
                    backend.hang_up()
            case "step":
                self._step_ms += round(item.args[0] * 1000)
                self.put_forward_s += max(0.0, item.args[0])
                self.put_back_s += max(0.0, -item.args[0])  # by a lease that outlives its daemon an agent was heard of later
                self.slept_until = self.loop.now + self.knobs.tick_s + self.knobs.lease_s
            case "disk" | "stall" | "full":
                await self._disk_fault(item)
            case "upgrade":
                async with self._changing:
                    await self._end_life(in_order=item.args[1])
                    if self._image is not None:
                        make_older(self._image / "outbox.db", item.args[0])
                    await self._begin_life()
            case "disconnect":
                if self.life is not None:
                    self.life.hang_up()
            case "list":
                await self.model.look_through(item.args[0])
            case _:
                assert link is not None
                await link.suffer(item)
                if item.kind == "restore":
                    self.model.restored(link.backend)
                link.healthy_since = self.loop.now + 90  # a breaker's longest pause, and a request that hangs
        self.log("fault_over", kind=item.kind)

    async def _disk_fault(self, item: Item) -> None:
        if self.loop.now >= self.unwell_until:
            self.unwell_since = self.loop.now
        self.unwell_until = math.inf
        if item.kind == "disk":
            self.disk_fails = True
            await asyncio.sleep(item.args[0])
            self.disk_fails = False
        elif item.kind == "full":
            folder = self.life.folder if self.life is not None else self._root
            self.room = Room(folder / "ballast", item.args[1])
            await asyncio.sleep(item.args[0])
            self.room = None
        else:
            self.disk_stall_s = item.args[0]
            await asyncio.sleep(item.args[1])
            self.disk_stall_s = 0.0
        self.unwell_until = self.loop.now + 30

    # ── The run ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        await self._begin_life()
        by_task: dict[int, list[Item]] = {}
        for item in self.plan.items:
            if item.task is not None:
                by_task.setdefault(item.task, []).append(item)
        work = [
            self.loop.create_task((SessionAgent if items[0].kind == "begin" else Agent)(self, number, items).run())
            for number, items in by_task.items()
        ]
        work += [self.loop.create_task(self._fault_at(item)) for item in self.plan.items if item.task is None]
        watch = self.loop.create_task(self._watch())
        left_s = max(0.0, self.plan.hours * 3600 - self.elapsed_s)
        rhythm = self.loop.create_task(self.rhythm.run(self.loop.now + left_s))
        await asyncio.sleep(left_s)
        for each in work:
            await each
        await self._come_to_rest()
        watch.cancel()
        rhythm.cancel()
        self.model.finish()
        await self._end_life(in_order=True)

    async def _fault_at(self, item: Item) -> None:
        await self.rhythm.sleep_until(item, item.at_s)
        await self._fault(item)
        self.rhythm.done(item)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.rhythm.look_s)
            if not self.spool.files and not self.drop.files:
                self.model.spool_read()
                self.spooled_tasks.clear()
            self.model.look()

    async def _come_to_rest(self) -> None:
        for link in self.links.values():
            link.state, link.bad, link.slow_s = "up", 0.0, 0.0
        ends = self.loop.now + _REST_S
        while self.loop.now < ends:
            await asyncio.sleep(30)
            life = self.life
            left = self.spool.files or self.drop.files
            if life is not None and life.serving and not life.services.outbox.counts.waiting and not left:
                break
        patience_s = max([self.knobs.lease_s, *(each.patience_s or 0.0 for each in self.model.tasks.values())])
        await asyncio.sleep(patience_s + 400)  # who is gone has been found to be, and that has been told

    def run(self) -> Result:
        """Carries the plan out."""
        handler = Observer(self)
        logger = logging.getLogger("clawlogd")
        before, handlers, propagates = logger.level, logger.handlers[:], logger.propagate
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
        self.loop.set_exception_handler(self._note_unhandled)
        try:
            with simulated(self):
                self._main = self.loop.create_task(self._run())
                self.loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass  # enough was found wrong
        finally:
            self._close()
            logger.handlers[:], logger.propagate = handlers, propagates
            logger.setLevel(before)
            shutil.rmtree(self._root, ignore_errors=True)
        return Result(self.plan, self.violations, self._lines, self._counts)

    def _close(self) -> None:
        self.loop.set_exception_handler(lambda *_: None)  # what is left is of no interest
        for _ in range(2):  # what ends may begin something else
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            for _ in range(50):
                self.loop.call_soon(self.loop.stop)
                self.loop.run_forever()
        self.loop.close()


def simulate(plan: Plan) -> Result:
    """Carries out a plan."""
    return World(plan).run()

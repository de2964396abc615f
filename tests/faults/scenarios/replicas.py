"""Several backends over one PostgreSQL database: what the end of any of them, or of the database, does to what was accepted."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Self

from clawlog.protocol.ids import new_uuid
from clawlog_backend.domain import trace_ids
from clawlog_backend.domain.trace_ids import SpanContext
from faults.daemon import QUICK_RETRIES
from faults.load import connected
from faults.loop_thread import LoopThread
from faults.oracle import Change
from faults.registry import fault, postgresql
from faults.rig import Rig
from support import nginx
from support.otlp_receiver import OtlpReceiver
from support.replicas import Page, Replicas, everything


class Traces:
    """What the replicas export, as a receiver has it; to be used in a ``with`` block."""

    def __init__(self) -> None:
        self._thread = LoopThread("traces")
        self._receiver = OtlpReceiver()

    def __enter__(self) -> Self:
        self._thread.run(self._receiver.start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.run(self._receiver.stop())
        self._thread.close()

    @property
    def url(self) -> str:
        """Where they are sent."""
        return self._receiver.url

    def of(self, task_ids: Collection[str]) -> dict[str, set[SpanContext]]:
        """Under which ids the spans of tasks themselves came, by task."""
        found: dict[str, set[SpanContext]] = {}
        for span in tuple(self._receiver.spans):
            task_id = span.attributes.get("clawlog.task.id")
            if task_id in task_ids:
                found.setdefault(task_id, set()).add(SpanContext(bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)))
        return found


_NAME = "two replicas%s: either killed, ended in turn, their database killed and restarted"


@fault(_NAME % "", postgresql, timeout_s=120.0)
def replicas_end(rig: Rig) -> None:
    """What a person sees at the end is what the database has; each stop was heard of once."""
    _end_replicas(rig)


@fault(_NAME % " behind nginx", postgresql, nginx.missing, quick=False)
def replicas_end_behind_nginx(rig: Rig) -> None:
    """The same, with nginx as it is shipped before them."""
    _end_replicas(rig, nginx=True)


def _end_replicas(rig: Rig, *, nginx: bool = False) -> None:
    with Traces() as traces:
        flags = ("--otel", traces.url) if rig.long else ()  # who takes over waits for the lease: up to 20 s at the end
        _end_exporting(rig, Replicas(rig.folder, nginx=nginx, flags=flags), traces)


def _end_exporting(rig: Rig, replicas: Replicas, traces: Traces) -> None:
    draw = random.Random(17)
    with replicas:
        rig.history = lambda: applied
        # An agent that is done with its tasks is not to be lost while the page is compared with the database.
        rig.daemon = rig.make_daemon(settings=QUICK_RETRIES + "[heartbeat]\nlease_s = 3600\n")
        rig.daemon.start()
        page = Page(replicas)
        page.start()
        stopped = _stop_some(rig, replicas)
        ended: list[str] = []
        with rig.load(agents=4, pause_s=0.005, base_url=replicas.url):
            rig.accept_more(200)
            for _ in range(rig.scale(1, 10)):
                for act in draw.sample(_ACTS, len(_ACTS)):
                    rig.progress(act.__name__)
                    act(replicas, draw)
                    rig.accept_more(rig.scale(100, 500))
                    stopped += _stop_some(rig, replicas, rig.scale(2, 4))
                    if rig.long:
                        ended.append(_end_one(rig, replicas))
        rig.recover()
        wanted = {row[0] for row in replicas.cluster.execute("SELECT interrupt_id FROM interrupts", replicas.name)}
        assert wanted == set(stopped), "every stop that was asked for is there once"
        rig.until(lambda: _seen(replicas) == wanted, "every stop was heard")
        heard = _heard(replicas)
        assert sorted(heard) == sorted(wanted), "each was heard once"
        _same_in_the_end(rig, page, replicas)
        page.end()
        rig.until(lambda: traces.of(ended).keys() == set(ended), "each task that ended is a trace", timeout_s=60.0)
        for task_id, spans in traces.of(ended).items():
            assert spans == {trace_ids.own_context(task_id)}, "it is one trace, however often it was sent"
        rig.notes |= {"stops": len(stopped), "streams": page.connections, "reloads": page.reloads, "traces": len(ended)}
        applied = list(_applied(replicas))


def _same_in_the_end(rig: Rig, page: Page, replicas: Replicas) -> None:
    try:
        rig.until(lambda: page.tasks == everything(replicas), "the page shows what the database has", pause_s=0.2)
    except TimeoutError as error:
        there = everything(replicas)
        differing = {name: (page.tasks.get(name), there.get(name)) for name in page.tasks.keys() | there.keys()}
        wrong = {name: both for name, both in differing.items() if both[0] != both[1]}
        error.add_note(f"{len(wrong)} of {len(there)} differ (the page's, the database's): {list(wrong.items())[:5]}")
        raise


def _kill_one(replicas: Replicas, draw: random.Random) -> None:
    backend = draw.choice(replicas.backends)
    backend.kill()
    backend.start()


def _end_each_in_turn(replicas: Replicas, draw: random.Random) -> None:
    for backend in replicas.backends:
        backend.stop()
        backend.start()


def _kill_the_database(replicas: Replicas, draw: random.Random) -> None:
    replicas.restart_database(signal.SIGQUIT)


def _restart_the_database(replicas: Replicas, draw: random.Random) -> None:
    replicas.restart_database(signal.SIGINT)


def _pause_one(replicas: Replicas, draw: random.Random) -> None:
    """It may have tasks locked, and its connections stay."""
    backend = draw.choice(replicas.backends)
    backend.send_signal(signal.SIGSTOP)
    threading.Event().wait(0.5)
    backend.send_signal(signal.SIGCONT)


_ACTS = [_kill_one, _end_each_in_turn, _kill_the_database, _restart_the_database, _pause_one]


def _stop_some(rig: Rig, replicas: Replicas, number: int = 2) -> list[str]:
    """Begins tasks, and asks each to stop by way of the balancer."""
    stops = []
    for _ in range(number):
        task_id = new_uuid()
        with connected(rig.daemon.socket_path) as connection:
            connection.call("task.create", task_id=task_id, event_id=new_uuid(), title="stop", base_url=replicas.url)

        def is_there(task_id: str = task_id) -> bool:
            query = "SELECT 1 FROM tasks WHERE task_id = %s"
            return bool(replicas.cluster.execute(query, replicas.name, [task_id]))

        rig.until(is_there, "the task is there")
        stops.append(replicas.call("POST", f"/api/tasks/{task_id}/interrupt", {"reason": "test"})["interrupt_id"])
    return stops


def _end_one(rig: Rig, replicas: Replicas) -> str:
    """Has a task begin and end, perhaps while its backend does."""
    task_id = new_uuid()
    with connected(rig.daemon.socket_path) as connection:
        connection.call("task.create", task_id=task_id, event_id=new_uuid(), title="end", base_url=replicas.url)
        connection.call("task.update", task_id=task_id, event_id=new_uuid(), status="done")
    return task_id


def _seen(replicas: Replicas) -> set[str]:
    rows = replicas.cluster.execute("SELECT interrupt_id FROM interrupts WHERE seen_ms IS NOT NULL", replicas.name)
    return {row[0] for row in rows}


def _heard(replicas: Replicas) -> list[str]:
    rows = replicas.cluster.execute("SELECT detail FROM events WHERE kind = 'interrupt_seen'", replicas.name)
    return [json.loads(row[0])["interrupt_id"] for row in rows]


def _applied(replicas: Replicas) -> Iterator[Change]:
    query = (
        "SELECT event_id, task_id, kind, detail FROM events JOIN tasks ON n = task_n "
        "WHERE title NOT IN ('stop', 'end') ORDER BY task_n, seq"
    )
    for event_id, task_id, kind, detail in replicas.cluster.execute(query, replicas.name):
        told = json.loads(detail)
        yield Change(event_id, task_id, kind, told.get("step_id"), told.get("status"), told.get("summary"))

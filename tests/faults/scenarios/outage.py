"""Long outages: what waits, what it costs, what an operator learns, and how it is made up for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from clawlog.protocol.ids import new_uuid
from faults.backend import Misbehaviour, Poison, always
from faults.fast_clock import DaemonOnFastClock, FastClock
from faults.load import connected
from faults.oracle import Change, Outcome
from faults.registry import fault
from faults.rig import Rig

_HOURS = 72


@fault("an outage of 72 hours, on a clock that runs fast")
def three_days(rig: Rig) -> None:
    rig.daemon = rig.make_daemon(settings="")  # the usual times
    clock = FastClock()
    with DaemonOnFastClock(rig.daemon, clock) as daemon:
        rig.send(5)
        rig.backend.down()
        began = clock.monotonic()
        clock.run_at(rig.scale(40_000.0, 10_000.0))
        with rig.load(agents=4, pause_s=rig.scale(0.2, 0.05)):
            rig.until(lambda: clock.monotonic() - began > _HOURS * 3600, "the outage is over", timeout_s=60)
        clock.run_at(1.0)
        status = rig.daemon.status()
        lane = status["backends"][0]
        assert lane["state"] == "outage"
        probes = lane["retried"]
        # Full jitter up to 60 s: one in 30 s on average; a live task's beats may probe, too, every 15 s.
        # Where this machine is slow, attempts themselves take hours of that clock.
        assert 20 < probes < _HOURS * 3600 / 10, f"single probes, without end: {probes}"
        assert daemon.logged.count("backend_unavailable") == 1, "one line in the log for an outage"
        assert lane["oldest_age_s"] > (_HOURS - 1) * 3600
        rig.backend.up()
        _hurry(rig)
        rig.recover()
        rig.notes["probes"] = probes


@fault("backend: 500 while hundreds of tasks are probed with")
def many_suspects(rig: Rig) -> None:
    """Each answer could be that one event's fault, and of a few it is. Still all others go in large batches afterwards."""
    rig.daemon.start()
    probes = rig.scale(200, 3_000)

    def probed() -> bool:
        _hurry(rig)
        return bool(rig.daemon.status()["backends"][0]["retried"] >= probes)

    with rig.backend.misbehaving(always(Misbehaviour.ERROR)):
        rig.send(probes, per_task=1)
        rig.until(probed, "many probes failed", timeout_s=300, pause_s=0.0)
        sent = list(rig.ledger.outcomes())
        guilty = {change.event_id for change in sent[10 : len(sent) // 4 : len(sent) // 12]}
        rig.backend.poison, rig.backend.is_poison = Poison.WHOLE_500, lambda change: change.event_id in guilty
    before = rig.backend.requests
    innocent = len(sent) - 2 * len(guilty)
    rig.until(lambda: len(rig.backend.history) >= innocent, "all arrives but the poison and what follows it")
    requests = rig.backend.requests - before
    rig.notes["probes"], rig.notes["requests to drain it"] = probes, requests
    assert requests < 100 * (1 + len(guilty)), f"{requests} requests: few, and a search by halving for each of the guilty"
    rig.backend.is_poison = lambda _: False
    rig.recover()


@fault("a long queue: memory, CPU, and calls")
def long_queue(rig: Rig) -> None:
    """Memory must not grow with the queue, the daemon must be near idle between probes, and calls must stay fast."""
    rig.daemon = rig.make_daemon(settings="")  # the usual times: it is their cost that is measured
    rig.backend.down()
    rig.daemon.start()
    agents = 8
    # Warm: every task, cache and buffer that this load takes is there.
    rig.send(rig.scale(600, 12_500), agents=agents, together=50, per_task=500, timeout_s=300)
    call_before_s = _call_s(rig)
    before = rig.daemon.status()
    rig.send(rig.scale(3_000, 50_000), agents=agents, together=50, per_task=500, timeout_s=600)
    status = rig.daemon.status()
    grown = status["memory_bytes"] - before["memory_bytes"]
    added = status["outbox"]["pending"] - before["outbox"]["pending"]
    assert added >= rig.scale(20_000, 390_000)
    assert grown < added * 40 + 8 * 1024**2, f"{grown} bytes more for {added} more events"
    cpu = _cpu_share(rig.daemon.pid, rig.scale(2.0, 30.0))
    assert cpu < 0.05, f"{cpu:.1%} of a CPU while it waits"
    call_s = _call_s(rig)
    # Also beside what it was before, for the disk may be slow.
    assert call_s < max(0.05, 3 * call_before_s), f"a call takes {call_s * 1000:.1f} ms, and took {call_before_s * 1000:.1f} ms"
    rig.notes["pending"] = f"{status['outbox']['pending']:,}"
    rig.notes["memory, MiB"] = f"{before['memory_bytes'] / 1024**2:.0f} → {status['memory_bytes'] / 1024**2:.0f}"
    rig.notes["CPU while waiting"] = f"{cpu:.1%}"
    rig.notes["a call, ms"] = f"{call_before_s * 1000:.1f} → {call_s * 1000:.1f}"
    started = time.monotonic()
    rig.daemon.kill()
    rig.daemon.start()
    rig.notes["start, s"] = f"{time.monotonic() - started:.1f}"
    rig.backend.up()
    _hurry(rig)
    rig.recover(timeout_s=300)


@fault("a long queue, and a task that begins while it is drained")
def newcomer(rig: Rig) -> None:
    rig.backend.down()
    rig.daemon.start()
    rig.send(rig.scale(2_500, 25_000), agents=8, together=50, per_task=250, timeout_s=300)
    rig.backend.delay_s = 0.1  # for each request, so that the queue takes seconds
    rig.backend.up()
    rig.until(lambda: len(rig.backend.history) > 3_000, "the queue is being drained")
    newest, event_id = new_uuid(), new_uuid()
    with connected(rig.daemon.socket_path) as connection:
        connection.call("task.create", task_id=newest, event_id=event_id, title="new", base_url=rig.backend.base_url)
    overtaken_from, started = len(rig.backend.history), time.monotonic()
    rig.ledger.note(Change(event_id, newest, "task_created"), Outcome.ACCEPTED)
    rig.until(lambda: any(change.task_id == newest for change in reversed(rig.backend.history)), "the new task is there")
    rig.notes["the new task waited, s"] = f"{time.monotonic() - started:.1f}"
    place = next(number for number, change in enumerate(rig.backend.history) if change.task_id == newest)
    left = rig.ledger.accepted_count - place
    assert place - overtaken_from < 4_000, "it goes with one of the next requests: it did not wait for the queue"
    assert left > 4_000, "there was a queue to wait for"
    rig.notes["still in the queue then"] = f"{left:,} of {rig.ledger.accepted_count:,}"
    rig.backend.delay_s = 0.0
    rig.recover(timeout_s=120)


def _cpu_share(pid: int, seconds: float) -> float:
    def used_s() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used_s()
    time.sleep(seconds)  # the measurement itself
    return (used_s() - before) / seconds


def _call_s(rig: Rig) -> float:
    """How long a durable call takes on average, one after the other."""
    started = time.monotonic()
    rig.send(100, agents=1)
    return (time.monotonic() - started) / 100


def _hurry(rig: Rig) -> None:
    """Has the daemon try now, as a person does who knows that the backend is back."""
    with connected(rig.daemon.socket_path) as connection:
        connection.call("daemon.flush", timeout_s=0)

"""Backends that answer with anything at all, beside one that behaves.

Each kind of answer has a server, a lane and a task of its own; the answer is given a few times, and then the server behaves. No
kind may end the daemon, leave a caller without a reply, hold up another backend, or make the daemon grow.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clawlog.protocol.jsonrpc import loads
from faults.answers import BATCH_ROUTES, Kind, drawn, every, route_of, selected
from faults.load import connected
from faults.loop_thread import LoopThread
from faults.registry import fault
from faults.rig import Rig
from support.hostile_server import Answer, Asked, HostileServer
from support.hostile_texts import unclean, unclean_lines

SEEDS = (20260301, 20260302, 20260303)
HITS = 2
WAVE = 50  # kinds at once; with those of the wave before about as many backends as the settings allow
CONNECTIONS = 64
GROWTH_BYTES = 64 * 1024 * 1024
MAX_LINES_EACH = 40
MAX_LINE_CHARS = 8192

SETTINGS = """\
[backends]
max = 100000
end_idle_after_s = 0.1
[retry]
quick_delays_s = [0.02, 0.05]
max_delay_s = 1.0
max_retry_after_s = 1.0
[http]
connect_timeout_s = 1.0
total_timeout_s = 1.0
max_reply_bytes = 1048576
[batch]
min_interval_s = 0.02
[poll]
interval_s = 0.2
wait_s = 2.0
"""


_numbers = itertools.count()


class _Trial:
    """One kind of answer, and the server that gives it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.server = HostileServer(batch=kind.route in BATCH_ROUTES)
        self.server.poison = self._answer
        self._hits = HITS
        self.task_id = f"hostile-{next(_numbers)}"

    def _answer(self, asked: Asked) -> Answer | None:
        if self._hits and route_of(asked) == self.kind.route:
            self._hits -= 1
            return self.kind.to(asked)
        return None

    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """What an agent says of its task, so that each route is used; the last of it ends the task."""
        task = {"task_id": self.task_id}
        updates = [("step.update", {**task, "step": 1, "status": status}) for status in ("running", "done")]
        return [
            ("task.create", {**task, "title": "T", "steps": ["one", "two"], "base_url": self.server.url}),
            *updates,
            ("task.heartbeat", {**task, "summary": "beat"}),
            ("task.update", {**task, "status": "running"}),
        ]

    def last_calls(self) -> list[tuple[str, dict[str, Any]]]:
        task = {"task_id": self.task_id}
        return [("interrupt.check", task), ("task.heartbeat", task), ("task.update", {**task, "status": "done"})]


@fault("hostile backends: every kind of answer, on every route", timeout_s=60.0)
def hostile(rig: Rig) -> None:
    rig.daemon = rig.make_daemon(settings=SETTINGS)
    rig.daemon.start()
    kinds = selected(SEEDS[0])
    if rig.long:
        kinds = every() + [kind for seed in SEEDS for kind in drawn(seed, 400)]
    loop = LoopThread("hostile servers")
    before = rig.daemon.status()["memory_bytes"]
    try:
        for start in range(0, len(kinds), WAVE):
            _try(rig, loop, kinds[start : start + WAVE])
            if rig.long:
                _end_lanes(rig)
            rig.progress(f"{start + WAVE} of {len(kinds)} kinds")
        grown = rig.daemon.status()["memory_bytes"] - before
        assert grown < GROWTH_BYTES, f"the daemon grew by {grown} bytes"
        rig.notes["grown, MiB"] = round(grown / 2**20)
        _log_is_clean(rig.daemon.log_path, len(kinds))
        assert rig.daemon.stop() == 0
        rig.daemon.start()
        _all_is_clean(rig)
        rig.notes["kinds of answer"] = len(kinds)
    finally:
        rig.daemon.kill()
        loop.close()


def _try(rig: Rig, loop: LoopThread, kinds: Sequence[Kind]) -> None:
    trials = [_Trial(kind) for kind in kinds]
    loop.run(_all(trial.server.start() for trial in trials))
    try:
        with rig.load(agents=2, pause_s=0.02):
            _say(rig, trials, [trial.calls() for trial in trials])
            rig.accept_more(10)
            _say(rig, trials, [trial.last_calls() for trial in trials])
            rig.until(lambda: not _unsettled(rig, trials), f"all settled but {_unsettled(rig, trials)}", 30.0, 0.1)
            rig.accept_more(10)
        _all_is_clean(rig)
    finally:
        loop.run(_all(trial.server.stop() for trial in trials))


async def _all(work: Any) -> None:
    await asyncio.gather(*work)


def _say(rig: Rig, trials: Sequence[_Trial], calls: Sequence[Sequence[tuple[str, dict[str, Any]]]]) -> None:
    """Makes calls for all trials, a few over each connection, and wants a reply to each."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(rig.daemon.socket_path)) for _ in range(CONNECTIONS)]
        for number, each in enumerate(calls):
            connections[number % CONNECTIONS].send(each)
        for number, (trial, each) in enumerate(zip(trials, calls, strict=True)):
            for method, _ in each:
                reply = connections[number % CONNECTIONS].receive()
                ended = method == "interrupt.check" or "task_finished" in json.dumps(reply)
                assert "result" in reply or ended, (trial.kind.name, trial.kind.route, method, reply)


def _unsettled(rig: Rig, trials: Sequence[_Trial]) -> list[str]:
    """The trials of whose events some are neither delivered nor dead, nor held behind one that is."""
    assert rig.daemon.alive, f"the daemon ended:\n{rig.daemon.log_tail()}"
    lanes = {each["base_url"]: each for each in rig.daemon.status()["backends"]}
    waiting = [(trial, lane) for trial in trials if (lane := lanes.get(trial.server.url))]  # one without work has ended
    return [
        f"{trial.kind.route}: {trial.kind.name} ({lane['last_error'] or lane['parked_error']})"
        for trial, lane in waiting
        if lane["pending"] > lane["held"]
    ]


def _end_lanes(rig: Rig) -> None:
    """Waits until no backends but the last wave's have lanes: nothing is wanted of them once what they refused is dropped."""
    with connected(rig.daemon.socket_path) as connection:
        assert "result" in connection.call("deadletter.drop", all=True)
    rig.until(
        lambda: len(rig.daemon.status()["backends"]) <= WAVE + 1, "the lanes of backends that are not needed end", pause_s=0.1
    )


def _all_is_clean(rig: Rig) -> None:
    with connected(rig.daemon.socket_path) as connection:
        for method in ("daemon.status", "deadletter.list", "task.list"):
            reply = loads(json.dumps(connection.call(method), ensure_ascii=False).encode())
            assert unclean(reply["result"]) == [], method


def _log_is_clean(path: Path, kinds: int) -> None:
    text = path.read_text(encoding="utf-8")
    assert unclean_lines(text) == []
    assert max(map(len, text.splitlines())) < MAX_LINE_CHARS
    lines = text.count("\n")
    assert lines < MAX_LINES_EACH * kinds, f"{lines} lines of log for {kinds} kinds of answer"
    assert "Traceback" not in text
    assert '"event": "fault"' not in text

"""A crowd of tasks as twenty agents leave it: some ask, some failed overnight, some died, most work or are done."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.backend_process import BackendProcess, ago

MINUTE_S = 60.0
HOUR_S = 3600.0
BEAT_EVERY_S = 5.0

PROJECTS = ("payments-api", "web-shop", "data-platform", "infra", "docs")
HOSTS = ("mac-07", "ci-runner-03", "gpu-07", "db-01", "build-7", "laptop-mei")
AGENTS = ("claude-code", "codex", "cron", "openclaw", "gemini")

_WORK = (
    ("Migrate the orders table", ("Copy the rows", "Switch the writes", "Drop the old column"), "orders.sql"),
    ("Refactor the payment module", ("Read the code", "Extract the client", "Run the tests"), "132 of 318 tests"),
    ("Nightly backup", ("Dump", "Upload"), "part 14 of 60"),
    ("Train the ranking model", ("Prepare the data", "Train", "Evaluate"), "epoch 4 of 10, loss 0.312"),
    ("Find the cause of the flaky checkout test", ("Reproduce it", "Bisect", "Write the fix"), "6 commits left"),
    ("Update the dependencies", ("List what is old", "Update one by one", "Run the tests"), "requests 3.1"),
    ("Translate the handbook", ("Collect the texts", "Translate", "Review"), "chapter 7 of 12"),
    ("Rebuild the search index", ("Export", "Index", "Swap"), "2.4 M documents"),
    ("Check the links in the documentation", ("Collect the pages", "Follow the links"), "docs/guide.html"),
    ("Import the supplier catalogue", ("Download", "Validate", "Load"), "row 80,311"),
    ("Review the pull request on retries", ("Read", "Try it", "Comment"), "reading retry.py"),
    ("Upgrade the build images", ("Change the base image", "Rebuild", "Publish"), "11 images"),
    ("Measure the cold start", ("Build", "Measure", "Write it up"), "run 18 of 40"),
    ("部署新的网关", ("检查配置", "灰度发布", "全量发布"), "10% 的流量"),
    ("Write the release notes", ("Collect the changes", "Write", "Proofread"), "41 entries"),
)
_QUESTIONS = ('approve "DROP COLUMN legacy_total"?', "which of the two accounts is the right one?", "may I push to main?")
_FAILURES = (
    "exit status 137: killed for its memory",
    "disk full on /var/backups",
    "3 of 318 tests failed",
    "certificate expired",
)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many tasks there are in each state."""

    waiting: int = 2
    failed: int = 4
    acknowledged: int = 3
    lost: int = 3
    silent: int = 5
    stalled: int = 1
    working: int = 23
    subtasks: int = 3
    stopping: int = 1
    done: int = 18

    @property
    def total(self) -> int:
        """How many there are in all."""
        return sum(getattr(self, name) for name in self.__dataclass_fields__) - self.acknowledged


SIXTY = Shares()


def large(total: int, live: int) -> Shares:
    """A crowd of that many, of which so many live."""
    rest = total - live - 30
    return Shares(4, 14, 10, 4, 6, 2, live - 10, 8, 2, rest)


def send(backend: BackendProcess, shares: Shares = SIXTY, *, seed: int = 11) -> None:
    """Fill a backend with the crowd, then stop and acknowledge what people would have."""
    events: list[dict[str, Any]] = []
    for event in _events(shares, random.Random(seed)):
        events.append(event)
        if len(events) == 500:
            backend.send(*events)
            events.clear()
    backend.send(*events)
    for n in range(shares.stopping):
        body = {"mode": "soft_stop", "reason": "wrong branch", "requested_by": "Mei"}
        backend.call("POST", f"/api/tasks/stopping-{n}/interrupt", body)
    if shares.acknowledged:
        ids = [f"failed-{shares.failed - 1 - n}" for n in range(shares.acknowledged)]
        backend.call("POST", "/api/actions", {"action": "acknowledge", "task_ids": ids, "by": "Mei"})


@contextmanager
def beating(backend: BackendProcess, shares: Shares = SIXTY) -> Iterator[None]:
    """Have the crowd's live tasks live on, as their sidecar would, for as long as the block lasts."""
    states = ("working", "subtasks", "stopping")
    live = [f"{state}-{n}" for state in states for n in range(getattr(shares, state))]
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY_S):
            said = {"kind": "heartbeat", "evidence": "process", "pid": 4242, "agent_seen_at": ago(5)}
            backend.send(*({**said, "task_id": task_id} for task_id in live))

    beats = threading.Thread(target=beat)
    beats.start()
    try:
        yield
    finally:
        over.set()
        beats.join()


def _events(shares: Shares, chance: random.Random) -> Iterator[dict[str, Any]]:
    number = 0
    for state in ("done", "failed", "lost", "silent", "stalled", "stopping", "working", "subtasks", "waiting"):
        for n in range(getattr(shares, state)):
            number += 1
            yield from _task(state, n, number, chance)


def _task(state: str, n: int, number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    title, steps, summary = _WORK[number % len(_WORK)]
    task_id = f"{state}-{n}"
    live = state in {"working", "subtasks", "waiting", "stopping", "stalled"}
    begun_s = chance.uniform(4, 90) * MINUTE_S if live else chance.uniform(1.2, 22) * HOUR_S
    if state == "silent":
        begun_s = chance.uniform(10, 50) * MINUTE_S
    metadata = {"project": chance.choice(PROJECTS), "host": chance.choice(HOSTS), "agent": chance.choice(AGENTS)}
    named = [{"step_id": f"{task_id}-{k}", "title": step} for k, step in enumerate(steps)]
    created = {"kind": "task_created", "task_id": task_id, "title": title, "steps": named, "metadata": metadata}
    if state == "subtasks":
        created |= {"parent_task_id": "working-0", "title": f"Shard {n + 1}: {steps[0].lower()}"}
    yield created | {"at": ago(begun_s)}

    def step(k: int, status: str, seconds: float, said: str | None = None) -> dict[str, Any]:
        told = {"kind": "step_status", "task_id": task_id, "step_id": f"{task_id}-{k}", "status": status, "at": ago(seconds)}
        return told if said is None else told | {"summary": said}

    current = len(steps) - 1 if state == "done" else number % len(steps)
    spent_s = begun_s * 0.2 if state in {"done", "failed", "lost"} else begun_s
    for k in range(current):
        yield step(k, "running", begun_s - spent_s * k / len(steps))
        yield step(k, "done", begun_s - spent_s * (k + 1) / len(steps))
    yield step(current, "running", begun_s - spent_s * current / len(steps), summary)
    end_s = begun_s - spent_s
    beat = {"kind": "heartbeat", "task_id": task_id, "evidence": "process", "pid": 4000 + number, "at": ago(max(end_s, 1))}
    match state:
        case "done":
            yield step(current, "done", end_s)
        case "failed":
            yield step(current, "failed", end_s, _FAILURES[n % len(_FAILURES)])
            yield {"kind": "task_status", "task_id": task_id, "status": "failed", "at": ago(end_s)}
        case "lost":
            yield step(current, "running", end_s + 20, summary)
            yield {
                "kind": "agent_lost",
                "task_id": task_id,
                "summary": f"process {4000 + number} ended: exit 137",
                "at": ago(end_s),
            }
        case "stalled":
            yield beat | {"agent_seen_at": ago(13 * MINUTE_S), "stalled": True}
        case "waiting":
            asked_s = chance.uniform(2, 20) * MINUTE_S
            told = {"kind": "task_status", "task_id": task_id, "status": "waiting", "at": ago(min(asked_s, begun_s))}
            yield told | {"summary": _QUESTIONS[n % len(_QUESTIONS)]}
        case "silent":
            pass
        case _:
            yield beat | {"agent_seen_at": ago(chance.uniform(1, 18)), "summary": summary}

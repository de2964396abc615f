"""Callers that use every way in, one call after the other, each in whatever way it draws.

A caller goes on to its next call of a task once the last is decided: accepted, or refused with nothing of it left behind. One
whose reply was lost is made again with the same ``event_id``, by the same way or another. A script cannot do that: where one
fails, its caller leaves the task as it is, and begins another.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from clawlog.protocol.ids import new_uuid, step_id
from faults.mixed.ways import Said, ScriptWay, Way
from faults.oracle import Change, Ledger, Outcome

_STEPS = 3
_GIVES_UP = 0.2  # the share of refused calls that are not made again


class MixedCaller(threading.Thread):
    """One caller.

    Args:
        number: Its number, from which its draws come, too.
        seed: Where its draws come from.
        ways: The ways that it has, each with its weight.
        places: The backends of its tasks, by name.
        ledger: Where it notes what it was promised.
        pause_s: How long it rests after a call, on average.

    Attributes:
        calls: How many calls were accepted, by way.
        courses: By task, what was tried and what came of it, for people.
        refused: How many were refused.
        unanswered: How many had no reply.
    """

    def __init__(
        self,
        number: int,
        *,
        seed: int,
        ways: Mapping[str, tuple[Way, float]],
        places: Mapping[str, str],
        ledger: Ledger,
        pause_s: float,
    ) -> None:
        super().__init__(name=f"c{number}-{seed}", daemon=True)
        self._draw = random.Random(seed * 1000 + number)
        self._ways = ways
        self._places = places
        self._ledger = ledger
        self._pause_s = pause_s
        self._stopped = threading.Event()
        self._said = 0
        self.courses: dict[str, list[str]] = {}
        self.calls: Counter[str] = Counter()
        self.refused = 0
        self.unanswered = 0
        self._error: BaseException | None = None

    @property
    def spooled_by_scripts(self) -> int:
        """How many calls of its scripts went to the spool."""
        return sum(way.spooled for way, _ in self._ways.values() if isinstance(way, ScriptWay))

    def check(self) -> None:
        """Raises what ended it, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ends it after the call in hand."""
        self._stopped.set()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                for said in self._task():
                    if not self._decide(said):
                        break
                    self._stopped.wait(self._draw.expovariate(1 / self._pause_s))
        except BaseException as error:  # noqa: BLE001 - told to whoever joins
            error.add_note(f"{self.name}'s last task: {self.courses.popitem()}")
            self._error = error
        finally:
            for way, _ in self._ways.values():
                way.close()

    def _task(self) -> Iterator[Said]:
        """What is said of one task."""
        task_id, place = new_uuid(), self._draw.choice(sorted(self._places))
        mark = self._mark(place)
        steps = [{"title": f"step {n}", "step_id": step_id(task_id, n)} for n in range(1, _STEPS + 1)]
        create = {"title": f"Aufgabe {mark} ✓", "steps": steps, "base_url": self._places[place]}
        yield self._saying(Change(mark, task_id, "task_created", summary=mark), "task.create", create)
        for number in range(self._draw.randint(2, 12)):
            mark = self._mark(place)
            if self._draw.random() < 0.2:
                yield self._saying(Change(mark, task_id, "task_status", None, "running", mark), "task.update", {})
                continue
            step, status = steps[number % _STEPS]["step_id"], ("running", "done", "failed")[number // _STEPS % 3]
            yield self._saying(Change(mark, task_id, "step_status", step, status, mark), "step.update", {"step": step})
        mark = self._mark(place)
        yield self._saying(Change(mark, task_id, "task_status", None, "done", mark), "task.update", {})

    def _saying(self, change: Change, method: str, params: dict[str, object]) -> Said:
        status = {} if change.status is None else {"status": change.status}
        common = {"task_id": change.task_id, "summary": change.summary, "event_id": new_uuid()}
        return Said(change, method, {**common, **status, **params})

    def _mark(self, place: str) -> str:
        """A text that is like no other, with the name of the backend where it belongs at its end."""
        self._said += 1
        return f"{self.name} says {self._said} at {place}"

    def _decide(self, said: Said) -> bool:
        """Makes a call until it is decided. Returns whether more can be said of its task."""
        ever_unanswered = ever_made = False
        while True:
            names = [name for name, (way, _) in self._ways.items() if way.repeats or not ever_made]
            (name,) = self._draw.choices(names, [self._ways[each][1] for each in names])
            way, _ = self._ways[name]
            course = self.courses.setdefault(said.change.task_id, [])
            course.append(f"{time.time():.3f} {said.change.event_id} by {name}")
            outcome = way.say(said)
            course.append(f"{time.time():.3f} {outcome.name.lower()}")
            ever_made = True
            self._ledger.note(said.change, outcome)
            if outcome is Outcome.ACCEPTED:
                self.calls[name] += 1
                return True
            self.refused += outcome is Outcome.REFUSED
            self.unanswered += outcome is Outcome.UNDECIDED
            ever_unanswered |= outcome is Outcome.UNDECIDED
            if not way.repeats or self._stopped.wait(self._draw.uniform(0.0, 0.1)):
                return False
            if not ever_unanswered and said.method != "task.create" and self._draw.random() < _GIVES_UP:
                return True

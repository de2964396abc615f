"""What happens in a run: what agents and people do, and what goes wrong, all drawn from the seed before it begins.

It is a list of items, so that a history can be shortened: items are left out while the run still fails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

URLS = ("http://batch.example", "http://plain.example")


@dataclass(frozen=True)
class Item:
    """One thing that happens.

    Attributes:
        at_s: When, in seconds from the beginning.
        kind: What.
        task: Whose, where it is an agent's doing: its number.
        args: Its particulars.
    """

    at_s: float
    kind: str
    task: int | None = None
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        whose = f" task {self.task}" if self.task is not None else ""
        return f"{self.at_s:>9.1f} s{whose} {self.kind}{' ' + ' '.join(map(str, self.args)) if self.args else ''}"


@dataclass(frozen=True)
class Knobs:
    """What is set otherwise from run to run."""

    interval_s: float
    lease_s: float
    round_s: float
    tick_s: float
    look_s: float
    poll_wait_s: float
    has_plain: bool


@dataclass(frozen=True)
class Plan:
    """A whole run.

    Attributes:
        seed: What it was drawn from.
        hours: How long it lasts.
        knobs: How things are set.
        items: What happens, in order.
    """

    seed: int
    hours: float
    knobs: Knobs
    items: tuple[Item, ...]


def draw_plan(seed: int, hours: float) -> Plan:
    """The plan of a seed."""
    draw = random.Random(f"plan {seed}")
    knobs = Knobs(
        interval_s=draw.choice((10.0, 15.0, 20.0, 30.0)),
        lease_s=draw.choice((30.0, 120.0, 120.0, 300.0)),
        round_s=draw.choice((30.0, 60.0, 120.0)),
        tick_s=draw.choice((5.0, 15.0, 30.0)),
        look_s=draw.choice((20.0, 60.0)),
        poll_wait_s=draw.choice((20.0, 50.0, 55.0)),
        has_plain=draw.random() < 0.5,
    )
    length_s = hours * 3600
    items: list[Item] = []
    bursts = [draw.uniform(10, length_s - 3600) for _ in range(draw.randint(2, 4))]
    for number in range(draw.randint(5, 11)):
        start = min(max(1.0, draw.choice(bursts) + draw.uniform(-200, 600)), length_s - 3000)
        items += _task(draw, number, start, knobs)
    # Faults come where something goes on, mostly.
    moments = [item.at_s for item in items]
    for _ in range(draw.randint(2, 9)):
        near = draw.choice(moments) + draw.uniform(-30, 30) if draw.random() < 0.85 else draw.uniform(0, length_s)
        items.append(_fault(draw, max(0.5, near), length_s))
    # A backend is put back once: a task is told anew at most once an hour, and what comes then is a dead letter, as promised.
    for link in range(2):
        for again in [item for item in items if item.kind == "restore" and item.args == (link,)][1:]:
            items.remove(again)
    items.sort(key=lambda item: item.at_s)
    return Plan(seed, hours, knobs, tuple(items))


def _task(draw: random.Random, number: int, at: float, knobs: Knobs) -> list[Item]:
    steps = draw.randint(0, 4)
    watched = draw.random() < 0.4
    backend = draw.randrange(2) if knobs.has_plain else 0
    items = [Item(at, "create", number, (backend, steps, watched))]
    for _ in range(draw.randint(2, 12)):
        at += draw.choice((0.0, 0.01, 1.0, 5.0, 20.0, 60.0, 200.0)) * draw.uniform(0.5, 1.5)
        kind = draw.choices(
            ("step", "beat", "wait", "run", "plan", "add", "link", "note", "check", "stop"), (8, 3, 1, 2, 1, 1, 1, 1, 4, 2)
        )[0]
        args: tuple[Any, ...] = ()
        if kind == "step":
            args = (draw.randrange(max(1, steps)), draw.choice(("running", "running", "done", "failed", "skipped", "pending")))
        elif kind == "check":
            args = (draw.random() < 0.8, round(draw.uniform(0, 20), 2))  # whether it obeys, and after how long
        items.append(Item(at, kind, number, args))
        if kind == "stop" and draw.random() < 0.8:
            for _ in range(draw.randint(1, 3)):
                at += draw.uniform(0.05, 12)
                items.append(Item(at, "check", number, (True, round(draw.uniform(0, 5), 2))))
    at += draw.uniform(0.1, 30)
    ending = draw.choices(("done", "failed", "leave", "die", "reopen"), (5, 2, 2, 2, 1))[0]
    if ending == "reopen":
        items.append(Item(at, "end", number, ("done",)))
        at += draw.uniform(1, 60)
        items.append(Item(at, "run", number))
        at += draw.uniform(1, 60)
        ending = "done"
    items.append(Item(at, ending, number) if ending in {"leave", "die"} else Item(at, "end", number, (ending,)))
    return items


def _fault(draw: random.Random, at: float, length_s: float) -> Item:
    kind = draw.choices(
        ("crash", "restart", "outage", "bad", "slow", "restore", "suspend", "step", "disk", "stall", "hangup", "backup"),
        (6, 2, 5, 6, 2, 2, 2, 2, 3, 2, 2, 1),
    )[0]
    link = draw.randrange(2)
    lasts = round(draw.choice((0.5, 5, 30, 120, 600)) * draw.uniform(0.5, 2), 3)
    match kind:
        case "crash" | "restart":
            return Item(at, kind, None, (round(draw.choice((0.0, 0.1, 3, 60, 900)) * draw.uniform(0.2, 1), 3),))
        case "outage":
            state = draw.choice(("refused", "refused", "silent", "500", "503", "429", "401"))
            if draw.random() < 0.15:
                lasts = draw.uniform(0.1, 0.5) * length_s
            return Item(at, kind, None, (link, state, lasts))
        case "bad":
            return Item(at, kind, None, (link, round(draw.uniform(0.1, 0.7), 2), lasts))
        case "slow":
            return Item(at, kind, None, (link, round(draw.uniform(0.5, 12), 1), lasts))
        case "suspend":
            return Item(at, kind, None, (lasts * 20,))
        case "step":
            return Item(at, kind, None, (round(draw.choice((-1, 1)) * draw.choice((2, 60, 3600)) * draw.uniform(0.3, 1), 3),))
        case "disk":
            return Item(at, kind, None, (min(lasts, 60.0),))
        case "stall":
            return Item(at, kind, None, (round(draw.uniform(0.1, 4), 2), min(lasts, 60.0)))
    return Item(at, kind, None, (link,))

"""What happens in a run: what agents and people do, and what goes wrong, all drawn from the seed before it begins.

It is a list of items, so that a history can be shortened: items are left out while the run still fails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

URLS = ("http://batch.example", "http://plain.example", "http://foreign.example")
"""Backends: with the batch routes, with the plain ones alone, and a server of another shape."""

_SESSIONS_FROM = 100  # the number of the first session of a coding agent
_NO_SIGNS_S = 120.0  # how rarely signs are looked for in a run without sessions
_OTHERS_FROM = 50  # that of the first task at a server of another shape


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
    sign_s: float = 5.0
    has_foreign: bool = False
    written_contract: bool = False
    flag_stays: bool = False
    most_tasks: int = 50_000
    most_events: int = 1_000_000


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
    more = random.Random(f"more {seed}")
    draw = random.Random(f"plan {seed}")
    knobs = Knobs(
        interval_s=draw.choice((10.0, 15.0, 20.0, 30.0)),
        lease_s=draw.choice((30.0, 120.0, 120.0, 300.0)),
        round_s=draw.choice((30.0, 60.0, 120.0)),
        tick_s=draw.choice((10.0, 15.0, 30.0)),
        look_s=draw.choice((20.0, 60.0)),
        poll_wait_s=draw.choice((20.0, 50.0, 55.0)),
        has_plain=draw.random() < 0.5,
    )
    knobs = replace(
        knobs,
        sign_s=more.choice((5.0, 20.0)),
        has_foreign=more.random() < 0.4,
        written_contract=more.random() < 0.5,
        flag_stays=more.random() < 0.5,
        most_tasks=more.choice((6, 50_000, 50_000, 50_000, 50_000)),
        most_events=more.choice((12, 40, 1_000_000, 1_000_000, 1_000_000)),
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
    items += _more(more, items, bursts, length_s, knobs)
    if not any(item.kind == "begin" for item in items):
        knobs = replace(knobs, sign_s=_NO_SIGNS_S)
    items = _restores_apart(items)
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


def _restores_apart(items: list[Item]) -> list[Item]:
    """Leaves out restores within an hour of another: a task is told anew once an hour, and what comes then is a dead letter."""
    kept: list[Item] = []
    for item in sorted(items, key=lambda each: each.at_s):
        others = [each.at_s for each in kept if each.kind == "restore" and each.args == item.args]
        if item.kind != "restore" or not others or item.at_s - others[-1] > _TOLD_ANEW_S:
            kept.append(item)
    return kept


_TOLD_ANEW_S = 2 * 3600.0


def _more(  # noqa: C901 - a flat list of what happens
    draw: random.Random, items: list[Item], bursts: list[float], length_s: float, knobs: Knobs
) -> list[Item]:
    """What happens beside: calls sent together, stops that are not obeyed at once, sessions, other servers, and more faults."""

    def start() -> float:
        return min(max(1.0, draw.choice(bursts) + draw.uniform(-300, 900)), length_s - 3000)

    found: list[Item] = []
    for number in sorted({item.task for item in items if item.task is not None}):
        own = [item for item in items if item.task == number]
        for item in own:
            if item.kind == "stop" and draw.random() < 0.6:
                at = item.at_s
                for _ in range(draw.randint(2, 4)):
                    at += draw.uniform(0.2, 15)
                    found.append(Item(at, "check", number, (False, 0.0)))
        if len(own) > 2 and draw.random() < 0.6:
            at = draw.uniform(own[0].at_s + 0.01, own[-1].at_s)
            found.append(Item(at, "burst", number, (draw.randint(2, 8), draw.random() < 0.3)))
    for number in range(draw.randint(1, 3) if knobs.has_foreign else 0):
        found += [
            replace(item, args=(2, max(1, item.args[1]), item.args[2])) if item.kind == "create" else item
            for item in _task(draw, _OTHERS_FROM + number, start(), knobs)
        ]
    for number in range(draw.choice((0, 0, 1, 2, 3))):
        found += _session(draw, _SESSIONS_FROM + number, start())
    moments = [item.at_s for item in [*items, *found]]
    for _ in range(draw.randint(0, 4)):
        at = max(0.5, draw.choice(moments) + draw.uniform(-20, 20))
        kind = draw.choice(("full", "upgrade", "disconnect", "list", "list", "outage", "bad"))
        lasts = round(draw.choice((1, 20, 90)) * draw.uniform(0.5, 2), 3)
        match kind:
            case "full":
                found.append(Item(at, kind, None, (lasts, draw.randint(0, 6))))
            case "upgrade":
                found.append(Item(at, kind, None, (draw.randint(1, 3), draw.random() < 0.5)))
            case "list":
                found.append(Item(at, kind, None, (draw.randint(1, 5),)))
            case "outage" | "bad" if knobs.has_foreign:
                how = draw.choice(("refused", "silent", "503")) if kind == "outage" else 0.4
                found.append(Item(at, kind, None, (2, how, lasts)))
            case "disconnect":
                found.append(Item(at, kind))
    return found


def _session(draw: random.Random, number: int, at: float) -> list[Item]:
    """A coding agent's session, as its hooks report it."""
    watched = draw.random() < 0.6
    items = [Item(at, "begin", number, (draw.randrange(8), watched))]
    for _ in range(draw.randint(1, 4)):
        at += draw.uniform(0.1, 90)
        items.append(Item(at, "prompt", number))
        for _ in range(draw.randint(0, 8)):
            at += draw.choice((0.05, 1.0, 8.0, 60.0)) * draw.uniform(0.5, 1.5)
            kind = draw.choices(("tool", "list_of_steps", "ask", "stop", "subagent"), (10, 1, 2, 2, 1))[0]
            items.append(Item(at, kind, number, (draw.randint(1, 4),)))
            if kind == "stop":
                for _ in range(draw.randint(2, 6)):
                    at += draw.choice((2.0, 20.0, 60.0)) * draw.uniform(0.5, 1.5)
                    items.append(Item(at, "tool", number, (1,)))
        at += draw.uniform(0.1, 20)
        if draw.random() < 0.85:
            items.append(Item(at, "rest", number))
            if draw.random() < 0.15:
                at += draw.uniform(0.1, 30)
                items.append(Item(at, "stop", number, (1,)))
    at += draw.uniform(0.1, 60)
    ending = draw.choice(("over", "over", "die", "leave", "again"))
    if ending == "again":
        items.append(Item(at, "over", number))
        at += draw.uniform(5, 200)
        items += [Item(at, "prompt", number), Item(at + 5, "tool", number, (1,)), Item(at + 20, "rest", number)]
        at, ending = at + 40, "over"
    items.append(Item(at, ending, number))
    return items

"""The screen of ``clawlog status``: the fleet in one line, the daemon's health, its queue and its backends.

It is drawn here as pieces of text with their styles, from the daemon's answers as they are: what loads it must answer at
once, and neither rich nor dataclasses let it. Whoever calls has seen to it that the answers are of the known shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clawlog.cli.render import states, times
from clawlog.cli.render.counts import counted
from clawlog.cli.render.states import Line
from clawlog.protocol import vocabulary
from clawlog.protocol.summary import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:  # what loads this counts its milliseconds
    from typing import Any

    Problem = tuple[str, str | None]
    """What is wrong, and what to do about it."""

MOST_ACTIVE, MOST_ENDED = 500, 100
"""How many tasks are asked for: the newest of those that have not ended, and of those that have."""
_DAY_S = 86_400.0
_LEAST_COLUMNS = 20
_LANE_STYLES = {"idle": "green", "delivering": "green", "retrying": "yellow"}
_BROKEN = "bold red"


def fleet(answer: Mapping[str, Any], active: Mapping[str, Any] | None, ended: Mapping[str, Any] | None) -> Line:
    """Returns how many tasks are in each state: those that have not ended, and those that ended within a day.

    A failure or loss that a person has acknowledged is not counted.

    Args:
        answer: The daemon's status.
        active: The tasks that have not ended; None where the daemon is too old to give a part of them.
        ended: Those that ended last.
    """
    counts = answer["tasks"]
    if active is None or ended is None:
        found = {states.DEAD: counts["lost"], "Stopping": counts["stopping"], states.WORKING: counts["live"]}
        return (*states.tally(found), ("", "")) if any(found.values()) else (("no tasks", "dim"),)
    late = [each for each in ended["tasks"] if each["ended_at"] and times.age_s(each["ended_at"]) <= _DAY_S]
    listed = ((states.word(_shown_status(each)), each.get("acknowledged")) for each in (*active["tasks"], *late))
    found = states.counted(word for word, is_seen in listed if not is_seen or word not in (states.DEAD, states.FAILED))
    if active.get("next_cursor") is not None:  # of so many the daemon itself counts what matters most
        found |= {states.DEAD: counts["lost"], "Stopping": counts["stopping"]}
    if not found and (active["tasks"] or late):
        return (("nothing that nobody has seen", "dim"),)
    if not found:
        return ((f"no tasks{' in the last 24 h' if counts['known'] else ''}", "dim"),)
    notes = ["24 h"] if late else []
    notes += [f"of the newest {MOST_ACTIVE}"] if active.get("next_cursor") is not None else []
    return (*states.tally(found), (f" ({', '.join(notes)})" if notes else "", "dim"))


def _shown_status(task: Mapping[str, Any]) -> str:
    is_stopping = task["stop"]["state"] == vocabulary.INTERRUPT_STATES[1]
    return states.shown_status(task["status"], task["liveness"]["state"], is_stopping=is_stopping)


def screen(answer: Mapping[str, Any], tasks: Line, problems: Sequence[Problem], *, healthy: bool) -> list[Line]:
    """Returns the screen's lines.

    Args:
        answer: The daemon's status.
        tasks: The line about its tasks.
        problems: What is wrong.
        healthy: Whether the daemon is, so far.
    """
    mark = ("● daemon ok", "bold green") if healthy else ("● daemon degraded", "bold red")
    up, memory = times.duration(answer["uptime_s"]), f"{answer['memory_bytes'] / 1024**2:.0f} MiB"
    loop = answer.get("event_loop", "asyncio")
    about = f"   clawlogd {one_line(answer['version'])}, process {answer['pid']}, up {up}, {memory}"
    about += f", {one_line(loop)}" if loop != "asyncio" else ""
    lines: list[Line] = [*states.folded(tasks, states.columns()), (mark, (about, ""))]
    lines += wrong(problems)
    lines += _details(answer)
    lines.append(())
    lines += _lanes(answer["backends"]) if answer["backends"] else [(("nothing sent yet", "dim"),)]
    return lines


def wrong(problems: Sequence[Problem]) -> Iterator[Line]:
    """Returns the lines about what is wrong, each with its advice, as wide as the terminal."""
    for found, advice in problems:
        yield from _wrapped((" ! ", "bold red"), one_line(found), "")
        if advice:
            yield from _wrapped(("   → ", "dim"), one_line(advice), "bold")


def _wrapped(mark: tuple[str, str], text: str, style: str) -> Iterator[Line]:
    from textwrap import wrap  # noqa: PLC0415 - where nothing is wrong nothing is wrapped

    columns = states.columns()
    room = len(text) + 1 if columns is None else max(columns - len(mark[0]), _LEAST_COLUMNS)
    first, *rest = wrap(text, room, break_on_hyphens=False) or [""]
    yield mark, (first, style)
    for each in rest:
        yield (" " * len(mark[0]), ""), (each, style)


def _details(answer: Mapping[str, Any]) -> Iterator[Line]:
    outbox = answer["outbox"]
    waits = f"{counted(outbox['pending'], 'event')}, {outbox['bytes'] / 1024**2:.1f} MiB; {outbox['dead_letters']} refused"
    sockets = ", ".join(one_line(each) for each in (answer["socket"], answer["zmq"]) if each) or "none"
    rows = {"waiting": waits, "room": _room(outbox), "default": one_line(answer["base_url"])}
    for name, text in {**rows, "socket": sockets, "state": one_line(answer["state_dir"])}.items():
        yield (f"{name:<7}  ", "dim"), (text, "")


def _room(outbox: Mapping[str, Any]) -> str:
    """Returns how much room is left, and how long it will last: the question during an outage."""
    bounds = f"for {outbox['max_events']:,} events or {outbox['max_bytes'] / 1024**3:.1f} GiB"
    if outbox["hours_left"] is None:
        return bounds
    full_in = times.duration(outbox["hours_left"] * 3600)
    return f"{bounds}: at {outbox['accepted_per_hour']:.0f} an hour, full in {full_in}"


def _lanes(lanes: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    heads = ("BACKEND", "STATE", "DOWN FOR", "WAITING", "OLDEST", "SENT")
    rows = [
        (
            one_line(each["base_url"]),
            one_line(each["state"]).replace("_", " "),
            _age(None if each["outage_since"] is None else times.age_s(each["outage_since"])),
            str(each["pending"]),
            _age(each["oldest_age_s"]),
            str(each["delivered"]),
        )
        for each in lanes
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    yield ((_row(heads, widths), "dim"),)
    for lane, row in zip(lanes, rows, strict=True):
        first, state, *rest = _cells(row, widths)
        yield (f"{first}  ", ""), (state, _LANE_STYLES.get(lane["state"], _BROKEN)), (f"  {'  '.join(rest)}", "")


def _row(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(_cells(texts, widths))


def _cells(texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The address and the state begin in a line, numbers end in one."""
    columns = zip(texts, widths, strict=True)
    return [text.ljust(width) if number < 2 else text.rjust(width) for number, (text, width) in enumerate(columns)]


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else times.age(seconds)

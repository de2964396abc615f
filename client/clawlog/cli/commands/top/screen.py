"""Draws the model to fit the terminal: the tasks above, the selected one below, the keys last."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from clawlog.cli.commands.top.model import Model, Order, View, tally
from clawlog.cli.render import ids, marks, output, states, tables, times
from clawlog.cli.render.counts import counted
from clawlog.cli.render.rows import of_daemon
from clawlog.cli.render.views import TaskView

_KEYS = "q quit   ↑↓ move   ⏎ open   / search   o order   a all   s stop   ? help"
_TASK_KEYS = "⏎ back   b in a browser   s stop   q quit"
_LEAST_ROWS = 3
_STEPS_SHOWN = 8
_ROOMY = 12
"""From how many rows on there is one for the number of tasks in each state."""
_HELP = (
    ("↑ ↓  k j", "the task above, below"),
    ("PgUp PgDn", "a page up, down (space: down)"),
    ("g G", "the first, the last"),
    ("⏎", "the task alone, with all of its steps; ⏎ or Esc: back"),
    ("b", "its page in a browser"),
    ("/", "search in titles, steps, summaries, ids, metadata; host:gpu-07 or state:dead in one of them; Esc ends it"),
    ("o", "order: attention, newest, last report"),
    ("a", "ended tasks, too"),
    ("s s", "ask the task to stop"),
    ("q", "quit"),
)


def draw(model: Model, height: int, width: int) -> RenderableType:
    """Returns the screen.

    Args:
        model: The state to show.
        height: The terminal's rows.
        width: The terminal's columns.
    """
    head = _head(model, with_tally=height >= _ROOMY)
    room = height - len(head) - 3  # the table's head, a remark, the foot
    if model.view is View.HELP:
        body: list[RenderableType] = [Text(), *_help()][: max(room, 1)]
        return Group(*head, *body, Text(), output.one_row(Text("any key: back", style="dim")))
    if model.view is View.TASK and model.selected_task is not None:
        body = _task(model.selected_task, max(room, 1) + 2)
        return Group(*head, *body, output.one_row(_foot(model, _TASK_KEYS)))
    detail = _detail(model.selected_task, _STEPS_SHOWN) if model.selected_task is not None else []
    if room - len(detail) < _LEAST_ROWS:
        detail = []
    rows = max(room - len(detail), _LEAST_ROWS)
    remark = output.one_row(_remark(model, rows))
    return Group(*head, _tasks(model, rows, width), *detail, remark, output.one_row(_foot(model, _KEYS)))


def _foot(model: Model, keys: str) -> Text:
    if model.typing:
        return Text.assemble(("/", "bold"), output.shown(model.query), ("▏", "bold"), ("   ⏎ keep   Esc end", "dim"))
    return output.shown(model.note, "bold yellow") if model.note else Text(keys, style="dim")


def _remark(model: Model, rows: int) -> Text:
    """Which part of the list is shown, where that is not all of it."""
    count, first = len(model.tasks), _first(model, rows)
    parts = [f"{first + 1}–{min(first + rows, count)} of {count}"] if count > rows else []
    parts += [model.order.value] if model.order is not Order.ATTENTION else []
    parts += [f'with "{model.query}": {count} of {len(model.every)}'] if model.query else []
    return output.shown(", ".join(parts), "dim")


def _head(model: Model, *, with_tally: bool) -> list[RenderableType]:
    daemon = model.daemon
    if daemon is None:
        return [output.one_row(Text.assemble(("● ", "bold red"), model.problem))]
    mark = ("● daemon ok", "bold green") if daemon.healthy else ("● daemon degraded", "bold red")
    waits = counted(daemon.outbox.pending, "event", "wait")
    problems = [Text.assemble(("! ", "red"), problem) for problem in daemon.problems]
    lines = [*([Text.assemble(*tally(model))] if with_tally else []), Text.assemble(mark, f"   {waits}"), *problems]
    return [output.one_row(each) for each in lines]


def _first(model: Model, rows: int) -> int:
    """The index of the first task that is shown."""
    return min(max(model.position - rows // 2, 0), max(len(model.tasks) - rows, 0))


def _tasks(model: Model, rows: int, width: int) -> RenderableType:
    if not model.tasks:
        none = "no tasks" if model.show_all else "no active tasks; press a to show ended ones"
        return Text("no such tasks" if model.query else none, style="dim")
    first = _first(model, rows)
    id_chars = ids.chars([each.task_id for each in model.tasks])
    visible = [of_daemon(each) for each in model.tasks[first : first + rows]]
    shown: Table = tables.tasks(visible, width=width, id_chars=id_chars)
    shown.expand = True
    shown.rows[model.position - first].style = "reverse"
    return shown


def _help() -> list[RenderableType]:
    lines = [Text.assemble((f"  {keys:<10}", "bold"), f"  {what}") for keys, what in _HELP]
    return [output.one_row(each) for each in lines]


def _task(task: TaskView, room: int) -> list[RenderableType]:
    """One task alone: what is known of it, and as many of its steps as there is room for."""
    about = [Text(), output.shown(f"{task.task_id} at {task.base_url}", "dim")]
    if task.summary:
        about.append(output.shown(task.summary))
    if task.metadata:
        about.append(output.shown("  ".join(f"{name}={value}" for name, value in sorted(task.metadata.items())), "dim"))
    about += [output.shown(f"{link.name}: {link.url}" if link.name else link.url) for link in task.links]
    lines = [*map(output.one_row, about)]
    return [*lines, *_detail(task, max(room - len(lines) - 2, 1))][:room]


def _detail(task: TaskView, steps_shown: int) -> list[RenderableType]:
    liveness, row = task.liveness, of_daemon(task)
    seen_at = None if task.ended_at else liveness.agent_seen_at
    report = f"last report {times.age(times.age_s(seen_at))} ago" if seen_at else ""
    evidence = f"process {liveness.watch_pid}" if liveness.evidence == "process" else ""
    known = "; ".join(filter(None, (evidence, report)))
    head = Text.assemble(output.shown(task.title, "bold"), f"  {states.MARKS.get(row.state, '')} ", (row.state, row.style))
    lines = [Text(), head.append(f"  {known}", "dim")]
    if row.needs_attention and row.summary:
        lines.append(output.shown(row.summary, row.style))
    if task.stop.interrupt_id is not None:
        at = f" {times.clock(task.stop.requested_at)}" if task.stop.requested_at else ""
        why = f': "{task.stop.reason}"' if task.stop.reason else ""
        lines.append(output.shown(f"stop {task.stop.state}{at}{why}", "yellow"))
    current = next((index for index, step in enumerate(task.steps) if step.status == "running"), task.steps_ended)
    first = min(max(current - steps_shown // 2, 0), max(len(task.steps) - steps_shown, 0))
    for step in task.steps[first : first + steps_shown]:
        line = Text.assemble(marks.step_mark(step.status), f" {step.position} ", output.shown(step.title))
        if step.measure is not None:
            line.append(f"  {step.measure.text}", "dim")
        if step.summary:
            line.append("  ").append_text(output.shown(step.summary, "dim"))
        lines.append(line)
    return [output.one_row(line) for line in lines]

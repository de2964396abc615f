"""Draws the model to fit the terminal: the tasks above, the selected one below, the keys last."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from clawlog.cli.commands.top.model import Model
from clawlog.cli.render import marks, output, tables, times
from clawlog.cli.render.counts import counted
from clawlog.cli.render.rows import of_daemon
from clawlog.cli.render.views import TaskView

_KEYS = "q quit   ↑↓ move   a all/active   s stop"
_LEAST_ROWS = 3
_STEPS_SHOWN = 8


def draw(model: Model, height: int, width: int) -> RenderableType:
    """Returns the screen.

    Args:
        model: The state to show.
        height: The terminal's rows.
        width: The terminal's columns.
    """
    head = _head(model)
    foot = Text(model.note, style="bold yellow") if model.note else Text(_KEYS, style="dim")
    detail = _detail(model.selected_task) if model.selected_task is not None else []
    room = height - len(head) - 3  # the table's head, an empty row, the foot
    if room - len(detail) < _LEAST_ROWS:
        detail = []
    rows = max(room - len(detail), _LEAST_ROWS)
    return Group(*head, _tasks(model, rows, width), *detail, Text(), output.one_row(foot))


def _head(model: Model) -> list[RenderableType]:
    daemon = model.daemon
    if daemon is None:
        return [output.one_row(Text.assemble(("● ", "bold red"), model.problem))]
    mark = ("● healthy", "bold green") if daemon.healthy else ("● degraded", "bold red")
    tasks = daemon.tasks
    waits = counted(daemon.outbox.pending, "event", "wait")
    counts = f"{tasks.live} live, {tasks.lost} lost, {tasks.stopping} asked to stop; {waits}"
    problems = [Text.assemble(("! ", "red"), problem) for problem in daemon.problems]
    return [output.one_row(each) for each in (Text.assemble(mark, f"   {counts}"), *problems)]


def _tasks(model: Model, rows: int, width: int) -> RenderableType:
    if not model.tasks:
        return Text("no tasks" if model.show_all else "no active tasks; press a to show ended ones", style="dim")
    first = min(max(model.position - rows // 2, 0), max(len(model.tasks) - rows, 0))
    id_chars = tables.id_chars([each.task_id for each in model.tasks])
    visible = [of_daemon(each) for each in model.tasks[first : first + rows]]
    shown: Table = tables.tasks(visible, width=width, id_chars=id_chars)
    shown.expand = True
    shown.rows[model.position - first].style = "reverse"
    return shown


def _detail(task: TaskView) -> list[RenderableType]:
    liveness = task.liveness
    seen_at = None if task.ended_at else liveness.agent_seen_at
    report = f"; last report {times.age(times.age_s(seen_at))} ago" if seen_at else ""
    evidence = f" (process {liveness.watch_pid})" if liveness.evidence == "process" else ""
    head = Text.assemble(output.shown(task.title, "bold"), f"  agent {liveness.state}{evidence}{report}")
    lines = [Text(), head]
    if task.stop.interrupt_id is not None:
        at = f" {times.clock(task.stop.requested_at)}" if task.stop.requested_at else ""
        why = f': "{task.stop.reason}"' if task.stop.reason else ""
        lines.append(output.shown(f"stop {task.stop.state}{at}{why}", "yellow"))
    current = next((index for index, step in enumerate(task.steps) if step.status == "running"), task.steps_ended)
    first = min(max(current - _STEPS_SHOWN // 2, 0), max(len(task.steps) - _STEPS_SHOWN, 0))
    for step in task.steps[first : first + _STEPS_SHOWN]:
        line = Text.assemble(marks.step_mark(step.status), f" {step.position} ", output.shown(step.title))
        if step.measure is not None:
            line.append(f"  {step.measure.text}", "dim")
        if step.summary:
            line.append("  ").append_text(output.shown(step.summary, "dim"))
        lines.append(line)
    return [output.one_row(line) for line in lines]

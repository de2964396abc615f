"""Draws one task: its state first, what is known of it, its steps, and its history, with what is left out of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clawlog.cli.commands.show.known import Known
from clawlog.cli.render import history, marks, output, states, times
from clawlog.cli.render.backend_views import BackendStep
from clawlog.cli.render.counts import counted
from clawlog.cli.render.receipts import receipt_lines
from clawlog.cli.render.views import StepView

if TYPE_CHECKING:
    from rich.console import RenderableType


_SUBTASKS_SHOWN = 10
_STEPS_SHOWN = 24
"""From how many steps on those that say nothing but their status are told together."""
_NEAR = 3
"""How many steps before and behind the running one stand by themselves all the same."""


def draw(known: Known, lines: int | None) -> Iterator[RenderableType]:
    """Returns the parts of the screen, one below the other.

    Args:
        known: The task.
        lines: How much of its history is shown; all that was fetched without it, and each step on a line of its own.
    """
    from rich.text import Text  # noqa: PLC0415 - see output.console

    yield _heading(known)
    yield Text(f"{known.found.task_id} at {known.found.base_url}", style="dim", overflow="fold")
    if known.page is not None:
        yield Text(known.page, overflow="fold")
    if (summary := _summary(known)) is not None:
        yield output.shown(summary)
    yield from _waiting(known)
    yield from _liveness(known)
    yield from _relatives(known)
    yield from _links(known)
    yield from _stop(known)
    yield Text()
    yield _steps(known, fold=lines is not None)
    yield Text()
    if known.at_backend is None:
        yield Text(f"no history: {known.missing}", style="yellow")
    else:
        yield from _history(known, lines)


def _heading(known: Known) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    source = known.found.view or known.at_backend
    if source is None:
        return Text("unknown")
    state = states.word(source.shown_status)
    heading = Text.assemble(
        output.shown(source.title, "bold"), "  ", (f"{states.MARKS.get(state, '')} {state}", states.style(state))
    )
    view = known.found.view
    measure = view.newest_measure if view else known.at_backend.measure if known.at_backend else None
    return heading.append(f"  {measure.text}", "dim") if measure is not None else heading


def _summary(known: Known) -> str | None:
    source = known.found.view or known.at_backend
    return source.summary if source else None


def _line(label: str, text: str, style: str = "") -> RenderableType:
    """A line about the task: what it is about in the first column, and foreign text."""
    from rich.text import Text  # noqa: PLC0415 - see output.console

    return Text(f"{label:<10} ", style=style).append_text(output.shown(text, style))


def _waiting(known: Known) -> Iterator[RenderableType]:
    """Why the task needs a person, and since when."""
    from rich.text import Text  # noqa: PLC0415 - see output.console

    source = known.found.view or known.at_backend
    if source is not None and source.waiting_since is not None:
        yield Text(
            f"asked      {times.age(times.age_s(source.waiting_since))} ago; it waits for an answer", style="bold yellow"
        )
    attention = known.at_backend.attention if known.at_backend else None
    if attention is not None and attention.reason != "waiting":
        if attention.acknowledged_at is None:
            yield Text(f"attention  {states.word(attention.reason)}; seen by nobody yet: clawlog acknowledge", style="bold red")
        else:
            by = f" by {attention.acknowledged_by}" if attention.acknowledged_by else ""
            yield _line(
                "attention", f"{states.word(attention.reason)}; seen{by} {times.clock(attention.acknowledged_at)}", "dim"
            )


def _relatives(known: Known) -> Iterator[RenderableType]:
    """The task that it is a part of, and its own parts."""
    parent_id = known.found.view.parent_task_id if known.found.view else None
    if known.at_backend is None:
        if parent_id is not None:
            yield _line("part of", parent_id)
        return
    parent_id = parent_id or known.at_backend.parent_task_id
    if (parent := known.at_backend.parent) is not None:
        yield _line("part of", f"{parent.title} ({states.word(parent.status)}) {parent.task_id}")
    elif parent_id is not None:
        yield _line("part of", parent_id)
    for number, each in enumerate(known.at_backend.subtasks[:_SUBTASKS_SHOWN]):
        yield _line("" if number else "parts", f"{each.title} ({states.word(each.status)}) {each.task_id}")
    if (more := len(known.at_backend.subtasks) - _SUBTASKS_SHOWN) > 0:
        yield _line("", f"and {more} more: clawlog show --json", "dim")


def _links(known: Known) -> Iterator[RenderableType]:
    source = known.found.view or known.at_backend
    for number, link in enumerate(source.links if source else ()):
        yield _line("" if number else "links", f"{link.name}: {link.url}" if link.name else link.url)


def _liveness(known: Known) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    view = known.found.view
    if view is not None and view.liveness.state != "ended":
        liveness = view.liveness
        report = (
            f"last report {times.duration(times.age_s(liveness.agent_seen_at))} ago"
            if liveness.agent_seen_at
            else "no report yet"
        )
        yield Text(f"agent      {liveness.state}: {', '.join(filter(None, (marks.evidence(liveness), report)))}")
    if known.at_backend is not None and known.at_backend.liveness is not None:
        yield Text(
            f"backend    shows it as {states.word(known.at_backend.shown_status)}, its agent as {known.at_backend.liveness}"
        )
    if view is not None and view.pending:
        yield Text(f"waiting    {counted(view.pending, 'event')} for its backend", style="yellow")


def _stop(known: Known) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    stop = known.at_backend.stop if known.at_backend else None
    if stop is None or stop.requested_at is None:
        return
    by = f" by {stop.requested_by}" if stop.requested_by else ""
    yield _line("stop", f"requested {times.clock(stop.requested_at)}{by}{f': {stop.reason}' if stop.reason else ''}")
    for line in receipt_lines(stop):
        yield Text(f"           {line}")


def _steps(known: Known, *, fold: bool) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    steps = known.found.view.steps if known.found.view else known.at_backend.steps if known.at_backend else ()
    shown = Table.grid(padding=(0, 1))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True, justify="right")
    for run in _runs(steps, fold=fold):
        first, last = run[0], run[-1]
        if len(run) > 1:
            alike = Text(f"{counted(len(run), 'step')} {first.status}", "dim")
            shown.add_row(Text(*marks.step_mark(first.status)), f"{first.position}–{last.position}", alike)
            continue
        what = Text.assemble(output.shown(first.title, "bold" if first.status == "running" else ""))
        if first.measure is not None:
            what.append(f"  {first.measure.text}", "dim")
        if first.summary:
            what.append("  ").append_text(output.shown(first.summary, "dim"))
        shown.add_row(Text(*marks.step_mark(first.status)), str(first.position), what)
    return shown if steps else Text("no steps", style="dim")


def _runs(steps: Sequence[StepView | BackendStep], *, fold: bool) -> list[list[StepView | BackendStep]]:
    """Returns the steps one by one; of a long plan those together that stand in a row and say nothing but their status."""
    if not fold or len(steps) <= _STEPS_SHOWN:
        return [[each] for each in steps]
    running = [index for index, each in enumerate(steps) if each.status == "running"]
    runs: list[list[StepView | BackendStep]] = []
    foldable_before = False
    for index, step in enumerate(steps):
        near = any(abs(index - each) <= _NEAR for each in running)
        foldable = not near and step.status != "failed"
        if foldable and foldable_before and runs[-1][-1].status == step.status:
            runs[-1].append(step)
        else:
            runs.append([step])
        foldable_before = foldable
    return runs


def _history(known: Known, lines: int | None) -> Iterator[RenderableType]:
    from rich.table import Table  # noqa: PLC0415 - see output.console

    if known.at_backend is None:
        return
    told = list(history.without_quiet_beats(known.events))
    found = history.folded(told, known.at_backend)
    shown = found if lines is None else found[-lines:]
    for note in _left_out(known, len(told), sum(each.times for each in shown)):
        yield output.note(note)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for each in shown:
        text = output.shown(each.text)
        if each.until is not None:
            text.append(f"  × {each.times:,}, until {times.clock(each.until)}", "dim")
        table.add_row(times.clock(each.at), text)
    yield table


def _left_out(known: Known, told: int, shown: int) -> Iterator[str]:
    """What the history below does not show."""
    earlier = told - shown
    if known.is_cut:
        yield f"only the newest {counted(told, 'event')} were asked for: the page has all of them"
    if earlier:
        yield f"{counted(earlier, 'earlier event')} left out: --all shows them"
    if (beats := len(known.events) - told) or not known.has_all_beats:
        yield f"{'' if known.has_all_beats else 'at least '}{counted(beats, 'heartbeat')} without words left out"

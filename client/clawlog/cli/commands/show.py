"""``clawlog show TASK``: one task, with its steps, its agent's liveness, its stop and its history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import BackendRefused, BackendUnreachable
from clawlog.cli.render import history, marks, output, times
from clawlog.cli.render.backend_views import BackendTask
from clawlog.cli.render.counts import counted
from clawlog.cli.render.receipts import receipt_lines
from clawlog.cli.sources import lookup
from clawlog.cli.sources.backend import Backend
from clawlog.cli.sources.lookup import Found

if TYPE_CHECKING:
    from rich.console import RenderableType


_SUBTASKS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Known:
    """A task as the daemon and the backend know it.

    Attributes:
        found: The task, with the daemon's answer.
        answer: The backend's raw answer; None where it gave none.
        at_backend: The same, as a value.
        missing: Why the backend gave none.
    """

    found: Found
    answer: Any
    at_backend: BackendTask | None
    missing: str | None


@click.command(
    short_help="Show one task with its timeline.",
    epilog=epilog(
        ("clawlog show 8803", "by the last characters of its id"),
        ("clawlog show 8803 --json", "what both sides know"),
        s65="no such task, or the id is ambiguous",
        s69="no daemon or backend could be reached",
    ),
)
@options.task
@options.as_json
def command(*, task: str, as_json: bool) -> int:
    """Show one task: its steps, whether its agent is alive, how far a stop has come, and what happened when.

    TASK is its id, or at least four of its last characters. The steps come from the daemon, the history from the backend.
    """
    known = _fetch(lookup.find(task))
    if as_json:
        output.print_json(
            {"task_id": known.found.task_id, "base_url": known.found.base_url, "daemon": known.found.answer,
             "backend": known.answer, "backend_error": known.missing}
        )  # fmt: skip
    else:
        output.draw(*_screen(known))
    return exits.SUCCESS


def _fetch(found: Found) -> Known:
    backend = Backend(found.base_url, os.environ)
    try:
        answer = backend.task_answer(found.task_id)
        return Known(found, answer, backend.read_task(answer), None)
    except (BackendRefused, BackendUnreachable) as error:
        return Known(found, None, None, str(error))


def _screen(known: Known) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    yield _heading(known)
    yield Text(f"{known.found.task_id} at {known.found.base_url}", style="dim", overflow="fold")
    if (summary := _summary(known)) is not None:
        yield output.shown(summary)
    yield from _waiting(known)
    yield from _liveness(known)
    yield from _relatives(known)
    yield from _links(known)
    yield from _stop(known)
    yield Text()
    yield _steps(known)
    yield Text()
    if known.at_backend is None:
        yield Text(f"no history: {known.missing}", style="yellow")
    else:
        yield _history(known.at_backend)


def _heading(known: Known) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    view = known.found.view
    shown_status = view.shown_status if view else known.at_backend.shown_status if known.at_backend else "unknown"
    title = view.title if view else known.at_backend.title if known.at_backend else ""
    heading = Text.assemble(output.shown(title, "bold"), "  ", (shown_status, marks.task_style(shown_status)))
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
            yield Text(f"attention  {attention.reason}; seen by nobody yet: clawlog acknowledge", style="bold red")
        else:
            by = f" by {attention.acknowledged_by}" if attention.acknowledged_by else ""
            yield _line("attention", f"{attention.reason}; seen{by} {times.clock(attention.acknowledged_at)}", "dim")


def _relatives(known: Known) -> Iterator[RenderableType]:
    """The task that it is a part of, and its own parts."""
    parent_id = known.found.view.parent_task_id if known.found.view else None
    if known.at_backend is None:
        if parent_id is not None:
            yield _line("part of", parent_id)
        return
    parent_id = parent_id or known.at_backend.parent_task_id
    if (parent := known.at_backend.parent) is not None:
        yield _line("part of", f"{parent.title} ({parent.status}) {parent.task_id}")
    elif parent_id is not None:
        yield _line("part of", parent_id)
    for number, each in enumerate(known.at_backend.subtasks[:_SUBTASKS_SHOWN]):
        yield _line("" if number else "parts", f"{each.title} ({each.status}) {each.task_id}")
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
        yield Text(f"backend    shows it as {known.at_backend.status}, its agent as {known.at_backend.liveness}")
    if view is not None and view.pending:
        yield Text(f"waiting    {counted(view.pending, 'event')} for its backend", style="yellow")


def _stop(known: Known) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    stop = known.at_backend.stop if known.at_backend else None
    if stop is None or stop.requested_at is None:
        return
    yield Text.assemble("stop       requested ", times.clock(stop.requested_at), f' "{stop.reason}"' if stop.reason else "")
    for line in receipt_lines(stop):
        yield Text(f"           {line}")


def _steps(known: Known) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    steps = known.found.view.steps if known.found.view else known.at_backend.steps if known.at_backend else ()
    shown = Table.grid(padding=(0, 1))
    for step in steps:
        what = Text.assemble(output.shown(step.title, "bold" if step.status == "running" else ""))
        if step.measure is not None:
            what.append(f"  {step.measure.text}", "dim")
        if step.summary:
            what.append("  ").append_text(output.shown(step.summary, "dim"))
        shown.add_row(Text(*marks.step_mark(step.status)), str(step.position), what)
    return shown if steps else Text("no steps", style="dim")


def _history(task: BackendTask) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console

    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column()
    for event in history.without_quiet_beats(task.events):
        shown.add_row(times.clock(event.at), output.shown(history.describe(event, task)))
    return shown

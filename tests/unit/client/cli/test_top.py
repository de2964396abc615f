"""What keys and looks make of ``clawlog top``, and how keys are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from clawlog.cli.commands.top.keyboard import take
from clawlog.cli.commands.top.model import Key, Model, Order, View
from clawlog.cli.commands.top.screen import draw
from clawlog.cli.render.views import DaemonView, LivenessView, OutboxView, StepView, TaskCounts, TaskView
from clawlog.connection.results import StopPhase, StopState

DAEMON = DaemonView(
    version="1.2.3",
    protocol=1,
    pid=4242,
    uptime_s=60.0,
    state_dir="/state",
    socket="/state/run/clawlogd.sock",
    zmq=None,
    base_url="http://localhost:8000",
    healthy=True,
    problems=(),
    tasks=TaskCounts(known=3, live=2, lost=0, stopping=0),
    outbox=OutboxView(0, 0, 0, 1000, 1024**3, 0.0, None, None),
    backends=(),
    memory_bytes=0,
)


def task(task_id: str, status: str = "running", steps: int = 0) -> TaskView:
    return TaskView(
        task_id=task_id,
        title=f"title of {task_id}",
        base_url="http://localhost:8000",
        status=status,
        summary=None,
        created_at="2026-01-02T03:04:05Z",
        ended_at=None,
        steps=tuple(StepView(f"{task_id}-{n}", n, f"step {n}", "pending", None) for n in range(1, steps + 1)),
        liveness=LivenessView("alive", "process", "2026-01-02T03:04:05Z", 4242),
        stop=StopState(StopPhase.NONE),
        pending=0,
        delivered=True,
    )


TASKS = (task("a"), task("b"), task("c", "done"))


def press(model: Model, *keys: Key) -> Model:
    for key in keys:
        model = model.pressed(key)
    return model


def shown(model: Model, width: int = 80, height: int = 24) -> list[str]:
    from rich.console import Console

    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as drawn:
        console.print(draw(model, height, width))
    return [line.rstrip() for line in drawn.get().splitlines()]


def test_the_first_look_chooses_the_first_task_and_puts_those_that_ended_last() -> None:
    model = Model().polled(DAEMON, (TASKS[2], TASKS[0], TASKS[1]))
    assert [each.task_id for each in model.tasks] == ["a", "b", "c"]
    assert model.selected_task == TASKS[0]


def test_the_choice_stays_with_its_task_when_others_come_and_go() -> None:
    model = press(Model().polled(DAEMON, TASKS), Key.DOWN)
    assert model.selected == "b"
    model = model.polled(DAEMON, (task("new"), *TASKS))
    assert (model.selected, model.position) == ("b", 2)
    model = model.polled(DAEMON, (task("new"), TASKS[0]))
    assert model.selected == "a"  # the one that now stands nearest
    assert model.polled(DAEMON, ()).selected_task is None


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        ([Key.UP], "a"),
        ([Key.DOWN, Key.DOWN, Key.DOWN], "c"),
        ([Key.LAST], "c"),
        ([Key.LAST, Key.FIRST], "a"),
        ([Key.PAGE_DOWN, Key.UP], "b"),
        ([Key.LAST, Key.PAGE_UP], "a"),
        ([Key.OTHER], "a"),
    ],
)
def test_the_choice_moves_within_the_list(keys: list[Key], selected: str) -> None:
    assert press(Model().polled(DAEMON, TASKS), *keys).selected == selected


def test_a_stop_takes_two_presses_for_the_same_task() -> None:
    model = Model().polled(DAEMON, TASKS)
    assert model.stops(Key.STOP) is None
    armed = press(model, Key.STOP)
    assert armed.stops(Key.STOP) == "a"
    assert "title of a" in armed.note
    assert press(armed, Key.DOWN).stops(Key.STOP) is None
    assert press(armed, Key.STOP).stops(Key.STOP) is None


def test_what_has_ended_cannot_be_stopped() -> None:
    armed = press(Model().polled(DAEMON, TASKS), Key.LAST, Key.STOP)
    assert armed.stops(Key.STOP) is None
    assert armed.note == "this task has ended"


def test_all_keys_do_nothing_to_an_empty_list() -> None:
    model = press(Model(), *Key)
    assert model.selected_task is None
    assert model.to_stop is None


def taken(data: bytes, *, typing: bool = False) -> Iterator[Key | str]:
    while data:
        key, data = take(data, typing=typing)
        yield key


def test_a_query_is_typed_letter_by_letter() -> None:
    assert list(taken("q é部\x7f\x1b[A\r".encode(), typing=True)) == ["q", " ", "é", "部", Key.ERASE, Key.UP, Key.OPEN]


def test_what_needs_attention_stands_first_unless_another_order_is_chosen() -> None:
    failed, asks = task("f", "failed"), task("w", "waiting")
    gone = replace(task("l"), liveness=LivenessView("lost", None, "2026-01-02T03:04:09Z", None))
    model = Model().polled(DAEMON, (TASKS[0], failed, gone, TASKS[2], asks))
    assert [each.task_id for each in model.tasks] == ["w", "l", "f", "a", "c"]
    model = press(model, Key.ORDER)
    assert (model.order, [each.task_id for each in model.tasks]) == (Order.NEWEST, ["a", "f", "l", "c", "w"])
    model = press(model, Key.ORDER)
    assert (model.order, model.tasks[0].task_id) == (Order.REPORT, "l")
    assert press(model, Key.ORDER).order is Order.ATTENTION
    assert shown(model)[0] == "Needs you 1 · Dead 1 · Failed 1 │ Working 1 │ Done 1"


def test_a_search_shows_what_has_every_word() -> None:
    about = {"host": "gpu-07", "project": "infra"}
    tasks = (replace(task("a"), metadata=about), replace(task("b"), summary="Reading retry.py"), task("c", "waiting"))
    for query, found in (
        ("TITLE", "cab"),
        ("host:gpu", "a"),
        ("host:gpu retry", ""),
        ("retry of", "b"),
        ("state:needs-you", "c"),
    ):
        model = press(Model().polled(DAEMON, tasks), Key.SEARCH)
        for letter in query:
            model = model.pressed(letter)
        assert "".join(each.task_id for each in model.tasks) == found, query
        assert shown(model)[-1].startswith(f"/{query}")
        assert press(model, Key.QUIT).typing  # a letter, and no command
        kept = press(model, Key.OPEN)
        assert (kept.typing, kept.query) == (False, query)
        assert f'with "{query}": {len(found)} of 3' in shown(kept)
        assert len(press(kept, Key.BACK).tasks) == 3
    assert [press(model, Key.ERASE).query, press(model, Key.BACK).query] == ["state:needs-yo", ""]


def test_one_task_fills_the_screen_and_any_key_leaves_the_help() -> None:
    steps = tuple(StepView(str(n), n, f"part {n}", "running" if n == 30 else "done", None) for n in range(1, 41))
    model = press(Model().polled(DAEMON, (replace(task("a"), steps=steps, metadata={"host": "gpu-07"}), TASKS[1])), Key.OPEN)
    lines = shown(model)
    assert model.view is View.TASK
    assert {"a at http://localhost:8000", "host=gpu-07", "▶ 30 part 30"} <= set(lines)
    assert len(lines) == 24
    assert not any("title of b" in line for line in lines)
    assert press(model, Key.BACK).view is press(model, Key.OPEN).view is View.LIST
    helped = press(model, Key.HELP)
    assert any(line.split()[:3] == ["s", "s", "ask"] for line in shown(helped))
    assert press(helped, Key.STOP).to_stop is None
    assert press(helped, Key.STOP).view is View.LIST


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", [Key.QUIT]),
        (b"\x1b", [Key.BACK]),
        (b"\x1b[A\x1b[Bjk", [Key.UP, Key.DOWN, Key.DOWN, Key.UP]),
        (b"\x1bOA\x1bOB", [Key.UP, Key.DOWN]),
        (b"\x1b[5~\x1b[6~ ", [Key.PAGE_UP, Key.PAGE_DOWN, Key.PAGE_DOWN]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~gG", [Key.FIRST, Key.LAST] * 3),
        (b"sa", [Key.STOP, Key.ALL]),
        (b"\r/\x7f?ob", [Key.OPEN, Key.SEARCH, Key.ERASE, Key.HELP, Key.ORDER, Key.BROWSER]),
        (b"\x1b[1;5Cq", [Key.OTHER, Key.QUIT]),
        (b"\x1bxq", [Key.OTHER, Key.QUIT]),
        (b"\x1b[", [Key.OTHER]),
        ("é".encode(), [Key.OTHER, Key.OTHER]),
        (b"", []),
    ],
)
def test_keys_are_told_apart_however_they_arrive(data: bytes, keys: list[Key]) -> None:
    assert list(taken(data)) == keys


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("height", [8, 24, 60])
def test_the_screen_fits_and_shows_the_chosen_task(width: int, height: int) -> None:
    many = tuple(task(f"task-{n:03}", steps=50) for n in range(100))
    model = Model().polled(replace(DAEMON, healthy=False, problems=("x" * 300,)), many)
    for keys in ([], [Key.LAST], [Key.PAGE_DOWN] * 5):
        moved = press(model, *keys)
        lines = shown(moved, width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert any((moved.selected or "?").endswith(line.split()[0]) for line in lines if line.strip())
        assert lines[-1].startswith("q quit")


def test_the_chosen_task_is_shown_with_its_steps_and_its_stop() -> None:
    stop = StopState(StopPhase.REQUESTED, "stop-1", "soft_stop", "wrong host", None)
    steps = (StepView("1", 1, "one", "done", "went well"), StepView("2", 2, "two", "running", None))
    lines = shown(Model().polled(DAEMON, (replace(task("a"), steps=steps, stop=stop),)))
    assert 'stop requested: "wrong host"' in lines
    assert "✓ 1 one  went well" in lines
    assert "▶ 2 two" in lines
    assert lines[3].split()[:3] == ["a", "◐", "Stopping"]


def test_where_no_daemon_answers_that_is_shown_above_what_was_known() -> None:
    lines = shown(Model().polled(DAEMON, TASKS).poll_failed("no daemon at /x"))
    assert lines[0] == "● no daemon at /x"
    assert any(line.startswith("a ") for line in lines)
    assert "no active tasks; press a to show ended ones" in shown(Model())


@pytest.mark.parametrize(
    ("status", "life", "stop", "expected"),
    [
        ("running", "alive", StopPhase.NONE, "running"),
        ("running", "quiet", StopPhase.NONE, "running"),
        ("running", "stalled", StopPhase.NONE, "stalled"),
        ("running", "lost", StopPhase.NONE, "lost"),
        ("running", "stalled", StopPhase.REQUESTED, "stopping"),
        ("failed", "ended", StopPhase.REQUESTED, "failed"),
    ],
)
def test_what_needs_attention_is_shown_instead_of_the_status(status: str, life: str, stop: StopPhase, expected: str) -> None:
    shown = replace(task("a", status), liveness=LivenessView(life, None, None, None), stop=StopState(stop))
    assert shown.shown_status == expected

"""``clawlog.track``: a loop that says how far it has come, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import clawlog
from clawlog.tasks import pacing
from support.scripted_daemon import STOP, ScriptedDaemon
from support.task_forms import Context, Form, told, unknown_steps


@pytest.fixture(autouse=True)
def plan(daemon: ScriptedDaemon) -> None:
    unknown_steps(daemon)


async def test_a_loop_is_a_step_of_the_task_around_it(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["loop"]):
        assert [n async for n in form.each(clawlog.track(range(3), "loop", unit="files"))] == [0, 1, 2]
    assert told(daemon) == [
        ("step.update", "loop", "running", "0/3"),
        ("step.update", "loop", "done", "3/3"),
        ("task.update", "done"),
    ]


async def test_a_loop_that_is_not_planned_becomes_a_step(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T"):
        async for _ in form.each(clawlog.track("ab", "found")):
            pass
    assert daemon.only("step.add")["title"] == "found"
    assert told(daemon)[-2:] == [("step.update", "found", "done", "2/2"), ("task.update", "done")]


async def test_without_a_task_around_it_a_loop_is_one(daemon: ScriptedDaemon, form: Form) -> None:
    inside = [clawlog.current_task() async for _ in form.each(clawlog.track(range(3), "alone"))]
    assert daemon.only("task.create")["title"] == "alone"
    assert {each.title for each in inside if each} == {"alone"}
    assert clawlog.current_task() is None
    assert told(daemon) == [("task.update", "done", "3 items")]
    assert daemon.only("task.heartbeat")["progress"] == {"done": 3, "total": 3}


async def test_what_has_no_length_is_counted(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["loop", "known"]):
        async for _ in form.each(clawlog.track((n for n in range(3)), "loop")):
            pass
        async for _ in form.each(clawlog.track(iter("ab"), "known", total=2)):
            pass
    assert [each[3] for each in told(daemon, "step.update")] == ["0", "3", "0/2", "2/2"]


async def test_on_the_way_some_counts_are_sent(daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "MIN_INTERVAL_S", 0.02)
    async with form.task("T", ["loop"]):
        async for _ in form.each(clawlog.track(range(10), "loop")):
            await asyncio.sleep(0.01)
    counts = [int(each[3].partition("/")[0]) for each in told(daemon, "step.update")]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 10
    assert 4 <= len(set(counts)) <= 8


async def test_a_loop_of_many_turns_sends_little(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["loop"]):
        async for _ in form.each(clawlog.track(range(20_000), "loop")):
            pass
    assert len(told(daemon, "step.update")) < 6


# ── Left early ──────────────────────────────────────────────────────────────────────────────────────────────────────────

SKIPPED = ("step.update", "loop", "skipped", "left after 3 of 10", "3/10")
RAISED = ("step.update", "loop", "failed", "an exception, left after 3 of 10", "3/10")


def leaves(how: str, make: Any) -> object:
    for n in make():
        if n == 3:
            if how == "break":
                break
            if how == "return":
                return n
            if how == "raise":
                raise ValueError("in the body")
            if how == "deep":
                int("in a call")
    return None


async def leaves_async(how: str, make: Any) -> object:
    async for n in make():
        if n == 3:
            if how == "break":
                break
            if how == "return":
                return n
            if how == "raise":
                raise ValueError("in the body")
            if how == "deep":
                int("in a call")
    return None


@pytest.mark.parametrize(("how", "last"), [("break", SKIPPED), ("return", SKIPPED), ("raise", RAISED), ("deep", RAISED)])
async def test_a_loop_that_is_left_says_so_at_once(daemon: ScriptedDaemon, form: Form, how: str, last: tuple[str, ...]) -> None:
    async with form.task("T", ["loop", "next"]) as task:
        try:
            if form.is_async:
                await leaves_async(how, lambda: clawlog.track(range(10), "loop"))
            else:
                leaves(how, lambda: clawlog.track(range(10), "loop"))
        except ValueError:
            assert how in ("raise", "deep")
        async with Context(task.step("next")):
            pass
    assert told(daemon)[1] == last, "before whatever comes after it"


@pytest.mark.parametrize(
    ("how", "last"),
    [("break", SKIPPED), ("raise", ("step.update", "loop", "failed", "ValueError: in the body", "3/10"))],
)
async def test_a_loop_whose_iterator_has_a_name_ends_with_its_task(
    daemon: ScriptedDaemon, form: Form, how: str, last: tuple[str, ...]
) -> None:
    named = [clawlog.track(range(10), "loop")]
    try:
        async with form.task("T", ["loop"]):
            if form.is_async:
                await leaves_async(how, lambda: named[0])
            else:
                leaves(how, lambda: named[0])
    except ValueError:
        assert how == "raise"
    assert told(daemon)[1] == last
    assert told(daemon)[2][0] == "task.update"
    named.clear()
    assert len(told(daemon)) == 3


@pytest.mark.parametrize(
    ("how", "status", "summary"),
    [
        ("break", "interrupted", "left after 3 of 10"),
        ("raise", "failed", "an exception, left after 3 of 10"),
    ],
)
async def test_a_loop_of_its_own_that_is_left_ends_at_once(
    daemon: ScriptedDaemon, form: Form, how: str, status: str, summary: str
) -> None:
    try:
        if form.is_async:
            await leaves_async(how, lambda: clawlog.track(range(10), "loop"))
        else:
            leaves(how, lambda: clawlog.track(range(10), "loop"))
    except ValueError:
        assert how == "raise"
    assert told(daemon) == [("task.update", status, summary)]
    assert clawlog.current_task() is None
    await asyncio.sleep(0)


async def test_a_comprehension_that_raises_is_a_failure(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["loop"]):
        with contextlib.suppress(ZeroDivisionError):
            if form.is_async:
                [1 // (2 - n) async for n in clawlog.track(range(10), "loop")]
            else:
                [1 // (2 - n) for n in clawlog.track(range(10), "loop")]
    assert told(daemon)[1][2] in ("failed", "skipped"), "3.11 does not show which"
    assert told(daemon)[1][3].endswith("left after 2 of 10")


def test_through_enumerate_and_zip_too(daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    with clawlog.task("T", ["one", "two"]):
        for n, _ in enumerate(clawlog.track(range(10), "one")):
            if n == 3:
                break
        with contextlib.suppress(ValueError):
            for n, _ in zip(clawlog.track(range(10), "two"), itertools.count(), strict=False):
                if n == 3:
                    raise ValueError("in the body")
    assert [each[2:4] for each in told(daemon) if each[0] == "step.update" and each[2] != "running"] == [
        ("skipped", "left after 3 of 10"),
        ("failed", "an exception, left after 3 of 10"),
    ]


async def test_items_that_fail_fail_the_step(daemon: ScriptedDaemon, form: Form) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("disk full")

    async with form.task("T", ["loop"]):
        with pytest.raises(OSError, match="disk full"):
            async for _ in form.each(clawlog.track(items(), "loop")):
                pass
    assert told(daemon)[1] == ("step.update", "loop", "failed", "OSError: disk full", "3")


@pytest.mark.parametrize(
    ("how", "last"),
    [("break", SKIPPED), ("raise", ("step.update", "loop", "failed", "ValueError: in the body", "3/10"))],
)
async def test_as_a_block_it_knows_the_exception(daemon: ScriptedDaemon, form: Form, how: str, last: tuple[str, ...]) -> None:
    async with form.task("T", ["loop"]):
        try:
            async with Context(clawlog.track(range(10), "loop"), is_async=form.is_async) as items:
                if form.is_async:
                    await leaves_async(how, lambda: items)
                else:
                    leaves(how, lambda: items)
        except ValueError:
            assert how == "raise"
    assert told(daemon)[1] == last


async def test_a_block_whose_loop_came_to_its_end_is_done(daemon: ScriptedDaemon, form: Form) -> None:
    async with Context(clawlog.track(range(2), "alone"), is_async=form.is_async) as items:
        async for _ in form.each(items):
            pass
        assert [n async for n in form.each(items)] == [], "it is used up, as every iterator is"
    assert told(daemon) == [("task.update", "done", "2 items")]


async def test_a_stop_in_the_body_is_acknowledged(daemon: ScriptedDaemon, form: Form) -> None:
    daemon.answers["interrupt.watch"] = STOP

    async with form.task("T", ["loop"]) as task:
        if form.is_async:
            async for _ in clawlog.track(range(10), "loop"):
                await task.checkpoint()
        else:
            for _ in clawlog.track(range(10), "loop"):
                task.checkpoint()
    assert task.stopped
    assert [each[0] for each in told(daemon)] == ["step.update", "interrupt.ack", "step.update"]
    assert told(daemon)[-1][2] == "skipped"


async def test_a_stop_of_a_loop_of_its_own_ends_its_block_quietly(daemon: ScriptedDaemon, form: Form) -> None:
    daemon.answers["interrupt.watch"] = STOP
    async with Context(clawlog.track(range(10), "alone"), is_async=form.is_async) as items:
        async for _ in form.each(items):
            task = clawlog.current_task()
            assert task is not None
            found = task.checkpoint()
            if found is not None:
                await found
    assert [each[0] for each in told(daemon)] == ["interrupt.ack"]


# ── Mixed ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_asynchronous_items_and_plain_ones(daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)

    async def items() -> AsyncIterator[int]:
        for n in range(3):
            yield n

    async with clawlog.task("T", ["a", "b"]):
        assert [n async for n in clawlog.track(items(), "a")] == [0, 1, 2]
        for _ in clawlog.track(range(2), "b"):  # a plain loop in a coroutine: what it reports is sent as soon as it awaits
            pass
    assert [each[1:] for each in told(daemon, "step.update") if each[2] == "done"] == [("a", "done", "3"), ("b", "done", "2/2")]
    with clawlog.task("U", ["a"]):
        async for _ in clawlog.track(range(2), "a"):
            pass
    assert told(daemon)[-2:] == [("step.update", "a", "done", "2/2"), ("task.update", "done")]


def test_another_thread_is_told_which_task(
    daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    with clawlog.task("T", ["loop"]) as task:
        thread = threading.Thread(target=lambda: list(clawlog.track(range(3), "loop", task=task)))
        thread.start()
        thread.join()
    assert daemon.methods.count("task.create") == 1
    assert told(daemon)[-2:] == [("step.update", "loop", "done", "3/3"), ("task.update", "done")]


@pytest.mark.parametrize(("total", "unit"), [(float("nan"), None), (-1, None), ("many", None), (3, "x" * 21), (3, 7)])
def test_a_total_or_unit_that_does_not_fit_is_a_warning(
    daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: Any, caplog: pytest.LogCaptureFixture, total: Any, unit: Any
) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    with clawlog.task("T", ["loop"]):
        assert list(clawlog.track(range(3), "loop", total=total, unit=unit)) == [0, 1, 2]
    assert told(daemon)[-2] == ("step.update", "loop", "done", "3")
    assert "without its total" in caplog.text


def test_what_cannot_be_iterated_is_the_programs_own_error(env: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        for _ in clawlog.track(7, "loop"):  # type: ignore[arg-type]
            pass

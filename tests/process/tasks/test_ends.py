"""Generators that are left open, and calls at the interpreter's end: each program would hang or fail otherwise."""

from __future__ import annotations

import pytest

from process.tasks.conftest import Scene
from support.scripted_daemon import Trick


def test_a_generator_that_is_left_open_is_no_failure(scene: Scene) -> None:
    program = """
        def work():
            with clawlog.task("T", ["a"]) as task, task.step("a"):
                yield 1
        for _ in work():
            break
        gc.collect()
    """
    scene.run(program)
    assert [each for each in scene.told() if each != ("step.update", "running")] == [
        ("task.create", None),
        ("step.update", "skipped"),
        ("task.update", "interrupted"),
    ]


def test_a_generator_that_is_collected_in_the_middle_of_a_call_is_no_hindrance(scene: Scene) -> None:
    program = """
        client = clawlog.Client()
        def work():
            with clawlog.task("T", ["a"], client=client) as task, task.step("a"):
                yield task
        def leave():
            generator = work()
            next(generator)
            cycle = [generator]
            cycle.append(cycle)
        gc.collect()
        gc.set_threshold(10, 2, 2)
        for n in range(40):
            leave()
            for m in range(10):
                assert client.get_task(f"{n}-{m}")["task_id"] == f"{n}-{m}"
        gc.collect()
    """
    scene.run(program)
    assert scene.told().count(("task.update", "interrupted")) == 40


def test_at_the_interpreters_end_calls_are_made_and_nothing_hangs(scene: Scene) -> None:
    scene.daemon.answers["interrupt.check"] = Trick.SILENCE
    program = """
        import atexit
        task = clawlog.task("T")
        task.__enter__()
        atexit.register(task.__exit__, None, None, None)
        class Last:
            def __del__(self):
                task.heartbeat("the last")
        last = Last()
        client = clawlog.Client()
        threading.Thread(target=lambda: client.check_interrupt("t", wait_s=300), daemon=True).start()
        time.sleep(0.2)
    """
    scene.run(program)
    assert scene.told() == [("task.create", None), ("task.update", "done")]


@pytest.mark.parametrize("alone", [True, False])
def test_at_the_interpreters_end_without_a_daemon_nothing_is_raised(scene: Scene, alone: bool) -> None:
    program = """
        import asyncio
        logging.disable(logging.CRITICAL)
        class Last:
            def __del__(self):
                task.__exit__(None, None, None)
        last = Last()
        task = clawlog.task("T")
        task.__enter__()
        async def main():
            other = clawlog.async_task("U")
            await other.__aenter__()
        asyncio.run(main())
    """
    scene.run(program, alone=alone)


def test_a_loop_that_is_left_open_at_the_interpreters_end_raises_nothing(scene: Scene) -> None:
    program = """
        logging.disable(logging.CRITICAL)
        items = clawlog.track(range(10), "alone")
        next(items)
        task = clawlog.task("T", ["a"])
        task.__enter__()
        other = iter(clawlog.track(range(10), "a"))
        next(other)
    """
    scene.run(program)
    scene.run(program, alone=True)

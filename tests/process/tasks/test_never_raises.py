"""A task never raises, whatever it is told and whether or not a daemon is there."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from process.tasks.conftest import Scene


def created(params: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, whatever was asked for."""
    return {"task_id": str(params.get("task_id")), "title": "", "base_url": "", "steps": []}


NASTY = r"""
    SURROGATE = "a\ud800b"
    class Odd:
        def __str__(self): raise RuntimeError("no text")
        __repr__ = __str__
    nasty = [SURROGATE, "\x00", "x" * 100_000, 7, None, b"bytes", float("nan"), float("inf"), 10 ** 15]
    nasty += [Odd(), [1], {"a": Odd()}]
    for each in nasty:
        for given in (
            dict(title=each), dict(title="T", steps=[each]), dict(title="T", summary=each),
            dict(title="T", metadata={"k": each}), dict(title="T", metadata=each), dict(title="T", task_id=each),
            dict(title="T", base_url=each), dict(title="T", lease_s=each),
            dict(title="T", watch_pid=each), dict(title="T", steps=each), dict(title="T", metadata={SURROGATE: "v"}),
        ):
"""


@pytest.mark.parametrize("alone", [True, False])
def test_a_task_never_raises_whatever_it_is_told(scene: Scene, alone: bool) -> None:
    program = (
        textwrap.dedent(NASTY)
        + """
        with clawlog.task(**given) as task:
            task.heartbeat(each)
            task.summary = each
            with task.step(each, each) as step:
                step.summary = each
                step.update(each)
            task.checkpoint()
logging.disable(logging.CRITICAL)
    """.replace("logging.disable(logging.CRITICAL)\n", "")
    )
    scene.daemon.answers["task.create"] = created
    scene.run("logging.disable(logging.CRITICAL)\n" + program, alone=alone)


@pytest.mark.parametrize("alone", [True, False])
def test_an_asyncio_task_never_raises_whatever_it_is_told(scene: Scene, alone: bool) -> None:
    program = (
        "import asyncio\nlogging.disable(logging.CRITICAL)\nasync def tell(given, each):\n"
        """
    async with clawlog.async_task(**given) as task:
        await task.heartbeat(each)
        task.summary = each
        async with task.step(each, each) as step:
            step.summary = each
            await step.update(each)
        await task.checkpoint()
async def main():
""" + textwrap.indent(textwrap.dedent(NASTY), "    ") + "            await tell(given, each)\nasyncio.run(main())\n"
    )
    scene.daemon.answers["task.create"] = created
    scene.run(program, alone=alone)


def test_an_error_whose_text_cannot_be_made_goes_its_way(scene: Scene) -> None:
    program = r"""
        class Odd(Exception):
            def __str__(self): raise RuntimeError("no text")
        for error in (Odd(), ValueError("a\ud800b"), ValueError("\x1b[2J")):
            try:
                with clawlog.task("T", ["a"]) as task, task.step("a"):
                    raise error
            except (Odd, ValueError) as caught:
                assert caught is error
    """
    scene.run(program)
    assert scene.told().count(("task.update", "failed")) == 3

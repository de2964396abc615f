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


ADDITIONS = """
    logging.disable(logging.CRITICAL)
    logging.raiseExceptions = False
    handler = clawlog.LogHandler()
    async def settled(value):
        return await value if hasattr(value, "__await__") else value
    async def tell(each, block, attached):
        async with block as task:
            async with Both(task.step("a")) as step:
                await settled(step.progress(each, each, unit=each, summary=each))
            await settled(task.plan([each]))
            await settled(task.plan(each))
            await settled(task.progress(each, each, unit=each, summary=each))
            await settled(task.link(each, each))
            task.metadata["k"] = each
            async with Both(task.waiting(each)):
                task.metadata.update(k=each)
            for _ in clawlog.track(range(2), each, total=each, unit=each):
                break
            async for _ in clawlog.track(range(2), "b", total=each, unit=each):
                break
            handler.handle(logging.makeLogRecord({"msg": each, "levelno": 20}))
            repr(task)
        async with attached as task:
            await settled(task.heartbeat(each))
            repr(task)
    class Both:
        def __init__(self, inner): self.inner = inner
        async def __aenter__(self):
            return await settled((getattr(self.inner, "__enter__", None) or self.inner.__aenter__)())
        async def __aexit__(self, *args):
            return await settled((getattr(self.inner, "__exit__", None) or self.inner.__aexit__)(*args))
"""


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("form", ["Both", ""])
def test_nor_do_plans_progress_loops_and_the_rest(scene: Scene, alone: bool, form: str) -> None:
    values = textwrap.dedent(NASTY).partition("for each in nasty")[0]
    program = f"""
        import asyncio
        async def main():
            for each in nasty:
                await tell(each, {form}(clawlog.task("T", ["a"])), {form}(clawlog.attach(each)))
        asyncio.run(main())
    """
    scene.run(values + textwrap.dedent(ADDITIONS) + textwrap.dedent(program), alone=alone)
    if not alone:
        assert scene.told().count(("task.update", "done")) == scene.daemon.methods.count("task.create")


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

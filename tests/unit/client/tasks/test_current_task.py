"""Which task the code is in: nesting, decorators, attaching, log lines."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import clawlog
from clawlog.protocol.errors import UNKNOWN_TASK, RpcError
from clawlog.tasks import pacing
from support.scripted_daemon import STOP, ScriptedDaemon
from support.task_forms import Context, Form, settled, told, unknown_steps


@pytest.fixture
def here(daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ScriptedDaemon:
    """The scripted daemon, in the environment."""
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    return daemon


def created(daemon: ScriptedDaemon) -> list[dict[str, Any]]:
    return [each.params for each in daemon.requests if each.method == "task.create"]


# ── Nesting ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_in_a_task_is_its_part(daemon: ScriptedDaemon, form: Form) -> None:
    assert clawlog.current_task() is None
    async with form.task("outer") as outer:
        assert clawlog.current_task() is outer
        async with form.task("inner") as inner:
            assert clawlog.current_task() is inner
        assert clawlog.current_task() is outer
        async with form.task("stranger", parent_task_id=None), form.task("adopted", parent_task_id="p"):
            pass
    assert clawlog.current_task() is None
    assert [(each.get("parent_task_id"), each.get("parent_implied")) for each in created(daemon)] == [
        (None, None),
        (outer.id, True),
        (None, None),
        ("p", None),
    ]


async def test_outside_of_a_task_the_environment_names_the_parent(
    daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWLOG_TASK_ID", "from-the-environment")
    async with form.task("T"):
        pass
    (sent,) = created(daemon)
    assert (sent["parent_task_id"], sent["parent_implied"]) == ("from-the-environment", True), "the daemon may leave it out"


async def test_what_is_known_of_the_program_is_told(
    daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    monkeypatch.setattr("sys.argv", ["/opt/train.py", "--token", "secret"])
    async with form.task("T", metadata={"mine": "1"}):
        pass
    async with form.task("T", metadata={"agent": "mine", "command": "mine"}):
        pass
    first, second = created(daemon)
    assert first["metadata"]["agent"] == "claude-code"
    assert first["metadata"]["command"].endswith("train.py"), "no arguments: they may hold secrets"
    assert second["metadata"] == {"agent": "mine", "command": "mine"}
    assert first["cwd"]


async def test_tasks_side_by_side_each_see_their_own(here: ScriptedDaemon) -> None:
    async def work(name: str) -> str | None:
        async with clawlog.task(name):
            await asyncio.sleep(0.01)
            found = clawlog.current_task()
            return found and found.title

    assert await asyncio.gather(*(work(str(n)) for n in range(5))) == list("01234")


def test_a_thread_is_in_no_task_unless_it_is_given_the_context(here: ScriptedDaemon) -> None:
    found: list[object] = []
    with clawlog.task("T") as task:
        context = contextvars.copy_context()
        for target in (
            lambda: found.append(clawlog.current_task()),
            lambda: context.run(lambda: found.append(clawlog.current_task())),
        ):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert found == [None, task]


def test_a_block_that_is_left_in_another_context_is_over_in_both(here: ScriptedDaemon) -> None:
    def work() -> Iterator[None]:
        with clawlog.task("T"):
            yield

    generator = contextvars.copy_context().run(lambda: [each := work(), next(each)][0])
    generator.close()
    assert clawlog.current_task() is None
    leaking = work()
    next(leaking)
    threading.Thread(target=leaking.close).run()
    assert clawlog.current_task() is None


# ── The decorator ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_call_of_a_function_of_any_kind_is_a_task(here: ScriptedDaemon) -> None:
    def title() -> str | None:
        task = clawlog.current_task()
        return task and task.title

    @clawlog.task("plain")
    def plain(a: int, *, b: int = 1) -> Any:
        """Adds."""
        return a + b, title()

    @clawlog.task("coroutine")
    async def coroutine(a: int) -> Any:
        return a, title(), type(clawlog.current_task()).__name__

    @clawlog.task("generator")
    def generator() -> Iterator[Any]:
        got = yield title()
        yield got

    @clawlog.task("asynchronous")
    async def asynchronous() -> AsyncIterator[Any]:
        yield title()

    assert plain(1, b=2) == (3, "plain")
    assert plain(1) == (2, "plain")
    assert (plain.__name__, plain.__doc__) == ("plain", "Adds.")
    assert inspect.iscoroutinefunction(coroutine)
    assert await coroutine(7) == (7, "coroutine", "AsyncTask")
    running = generator()
    assert (next(running), running.send(5)) == ("generator", 5)
    running.close()
    assert [each async for each in asynchronous()] == ["asynchronous"]
    ids = [each["task_id"] for each in created(here)]
    assert len(set(ids)) == 5
    statuses = [each.params["status"] for each in here.requests if each.method == "task.update"]
    assert statuses == ["done", "done", "done", "interrupted", "done"]


async def test_a_decorated_function_fails_and_stops_as_a_block_does(here: ScriptedDaemon) -> None:
    @clawlog.task("T")
    def fails() -> None:
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        fails()
    assert told(here) == [("task.update", "failed", "ValueError: so it is")]
    here.answers["interrupt.watch"] = STOP

    @clawlog.task("T")
    async def stops() -> str:
        task = clawlog.current_task()
        assert isinstance(task, clawlog.AsyncTask)
        await task.checkpoint()
        return "not reached"

    assert await stops() is None
    assert told(here)[-1][0] == "interrupt.ack"


def test_decorating_makes_no_connection_and_reads_no_environment(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", "zmq:nonsense://")

    @clawlog.task("T", strict=True)
    def function() -> None:
        """Not called."""

    assert callable(function)


# ── Attaching ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_attaches_reports_and_neither_begins_nor_ends(daemon: ScriptedDaemon, form: Form) -> None:
    steps = [{"step_id": "s-1", "position": 1, "title": "train", "status": "running"}]
    known = {"task_id": "t", "title": "Theirs", "status": "running", "url": "http://b/tasks/t", "steps": steps}
    daemon.answers["task.get"] = {**known, "metadata": {"k": "v"}, "base_url": "http://b"}
    unknown_steps(daemon, known=["s-1"])
    async with form.attach("t") as task:
        assert (task.title, task.url, dict(task.metadata)) == ("Theirs", "http://b/tasks/t", {"k": "v"})
        assert [step.title for step in task.steps] == ["train"]
        assert clawlog.current_task() is task
        async with Context(task.step("train")):
            await settled(task.progress(1, 2))
        async with form.task("part"):
            pass
    assert [each[0] for each in told(daemon)] == ["step.update", "step.update", "step.update", "task.update"]
    assert created(daemon)[0]["parent_task_id"] == "t"
    assert not [each for each in daemon.requests if each.method == "task.update" and each.params["task_id"] == "t"]


async def test_an_error_in_an_attached_block_ends_the_step_alone(daemon: ScriptedDaemon, form: Form) -> None:
    with pytest.raises(ValueError, match="here"):
        async with form.attach("t") as task, Context(task.step("train")):
            raise ValueError("here")
    assert told(daemon)[-1] == ("step.update", "train", "failed", "ValueError: here")


async def test_a_stop_ends_an_attached_block_and_its_acknowledgement_is_the_others(daemon: ScriptedDaemon, form: Form) -> None:
    daemon.answers["interrupt.watch"] = STOP
    async with form.attach("t") as task:
        await settled(task.checkpoint())
        raise AssertionError("not raised")
    assert task.stopped
    assert "interrupt.ack" not in daemon.methods


async def test_one_attaches_to_the_task_of_the_environment(
    daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with form.attach() as nothing:
        await settled(nothing.heartbeat("to nobody"))
    assert "CLAWLOG_TASK_ID" in caplog.text
    assert daemon.requests == []
    with pytest.raises(ValueError, match="CLAWLOG_TASK_ID"):
        clawlog.attach(strict=True)
    monkeypatch.setenv("CLAWLOG_TASK_ID", "t")
    async with form.attach() as task:
        await settled(task.heartbeat("here"))
    assert daemon.only("task.heartbeat")["task_id"] == "t"


async def test_a_task_that_the_daemon_does_not_know_yet_is_reported_on_all_the_same(daemon: ScriptedDaemon, form: Form) -> None:
    daemon.answers["task.get"] = RpcError(UNKNOWN_TASK, "No task t")
    async with form.attach("t") as task:
        await settled(task.link("https://x"))
    assert daemon.only("task.link")["task_id"] == "t"
    assert "'' t of another process" in repr(task)


def test_attached_it_may_be_used_without_a_block(here: ScriptedDaemon) -> None:
    task = clawlog.attach("t")
    task.heartbeat("by itself")
    assert here.methods == ["task.heartbeat"]


# ── Log lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("a.program")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logging.getLogger("clawlog").handlers.clear()


def summaries(daemon: ScriptedDaemon) -> list[str]:
    return [each.params["summary"] for each in daemon.requests if each.method == "task.heartbeat" and "summary" in each.params]


async def test_a_line_of_the_log_is_the_heartbeats_summary(daemon: ScriptedDaemon, form: Form, log: logging.Logger) -> None:
    log.addHandler(clawlog.LogHandler(level=logging.INFO))
    log.info("outside of every task")
    async with form.task("T") as task:
        log.debug("too low")
        log.error("reading %s", "retry.py", exc_info=ValueError("with a long traceback"))
        await settled(task.heartbeat())
    assert summaries(daemon) == ["reading retry.py"]


async def test_only_some_lines_are_sent_and_the_newest_goes_with_the_next_report(
    daemon: ScriptedDaemon, form: Form, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "MIN_INTERVAL_S", 0.05)
    log.addHandler(clawlog.LogHandler())
    async with form.task("T") as task:
        for n in range(100):
            log.info("line %d", n)
        await settled(task.checkpoint())
        await asyncio.sleep(0.1)
        await settled(task.checkpoint())
    found = summaries(daemon)
    assert found[-1] == "line 99"
    assert len(found) < 20


def test_a_thread_reports_on_the_task_that_its_handler_was_given(here: ScriptedDaemon, log: logging.Logger) -> None:
    with clawlog.task("T") as task:
        log.addHandler(clawlog.LogHandler(task))
        thread = threading.Thread(target=lambda: log.info("from a thread"))
        thread.start()
        thread.join()
    assert summaries(here) == ["from a thread"]


def test_what_this_library_logs_is_not_reported(here: ScriptedDaemon, log: logging.Logger) -> None:
    logging.getLogger("clawlog").addHandler(clawlog.LogHandler())
    here.answers["task.heartbeat"] = RpcError(-32602, "summary: no")
    log.addHandler(clawlog.LogHandler())
    with clawlog.task("T"):
        log.info("a line that is refused, with a warning")
    assert here.methods.count("task.heartbeat") == 1


def test_a_record_that_cannot_be_shown_is_handled_as_by_every_handler(
    here: ScriptedDaemon, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.addHandler(clawlog.LogHandler())
    with clawlog.task("T"):
        log.info("%d", "no number")
    assert summaries(here) == []


def test_its_filters_and_formatter_are_the_standard_ones(here: ScriptedDaemon, log: logging.Logger) -> None:
    handler = clawlog.LogHandler()
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.addHandler(handler)
    with clawlog.task("T"):
        log.info("secret")
        log.warning("open")
    assert summaries(here) == ["WARNING open"]

"""The library is entered from anywhere, also while it is in a call: real programs, each of which would hang or fail otherwise.

Each program ends itself, with its stacks on stderr, when it has not come to its end after some seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clawlog.protocol import spool as spool_format
from support.scripted_daemon import NO_STOP, STOP, ScriptedDaemon, Trick, on_unix_socket

HEAD = """
import faulthandler, gc, logging, os, signal, sys, threading, time
import clawlog
def guard():
    time.sleep(12)
    faulthandler.dump_traceback()
    os._exit(3)
threading.Thread(target=guard, daemon=True).start()  # faulthandler's own timer does not outlive a fork
from clawlog.connection import calls
"""


@dataclass
class Scene:
    """Where a program runs.

    Attributes:
        daemon: What it finds as its daemon.
    """

    folder: Path
    daemon: ScriptedDaemon

    def run(self, program: str, *, alone: bool = False) -> str:
        """Runs a program to its good end, with nothing on stderr; returns what it printed.

        Args:
            program: Its text.
            alone: Whether no daemon is there.
        """
        path = self.folder / "program.py"
        path.write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
        env = {"CLAWLOG_STATE_DIR": str(self.folder / "state"), "CLAWLOG_AUTOSTART": "0", "HOME": str(self.folder)}
        if not alone:
            env["CLAWLOG_SOCKET"] = self.daemon.address
        # That a program leaves a client open is its own affair; other warnings are faults here.
        command = [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::ResourceWarning",
            "-W",
            "ignore::DeprecationWarning",
            str(path),
        ]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        return ran.stdout

    def told(self) -> list[tuple[str, str | None]]:
        """Verb and status of every event that the daemon was told of."""
        return [(each.method, each.params.get("status")) for each in self.daemon.requests if "event_id" in each.params]

    def spooled(self) -> list[str]:
        """The verbs that wait in the spool."""
        files = sorted((self.folder / "state" / "spool").glob("*.call"))
        return [method for path in files for method, _ in spool_format.decode(path.read_bytes()).requests]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="claw") as name, on_unix_socket(f"{name}/d.sock") as daemon:
        yield Scene(Path(name), daemon)


# ── Signal handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_signal_handler_may_call_while_a_call_goes_on(scene: Scene) -> None:
    program = """
        with clawlog.task("T", ["a"]) as task:
            count = 0
            def handler(*_):
                global count
                count += 1
                task.heartbeat(f"from the handler {count}")
                signal.setitimer(signal.ITIMER_REAL, 0.001)  # once more, and never within itself
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            end = time.monotonic() + 1
            while time.monotonic() < end:
                task.heartbeat("from the program")
                task.checkpoint()
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        print(count > 20)
    """
    assert scene.run(program) == "True\n"
    assert scene.told() == [("task.create", None), ("task.update", "done")]


def test_a_signal_handler_may_report_whatever_the_program_reports(scene: Scene) -> None:
    program = """
        with clawlog.task("T", ["a"]) as task, task.step("a") as step:
            count = 0
            def report(n):
                task.progress(n, unit="signals")
                step.progress(n)
                task.metadata["count"] = str(n)
                task.link("https://example.org/x", str(n))
                for _ in clawlog.track(range(2), "a"): pass
                with task.waiting("?"): pass
            def handler(*_):
                global count
                count += 1
                report(count)
                signal.setitimer(signal.ITIMER_REAL, 0.002)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            end = time.monotonic() + 8
            while count <= 5 and time.monotonic() < end:
                report(0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        print(count > 5)
    """
    assert scene.run(program) == "True\n"
    assert scene.told()[-1] == ("task.update", "done")


def test_a_signal_handler_may_call_while_the_spool_is_written(scene: Scene) -> None:
    program = """
        logging.disable(logging.CRITICAL)
        with clawlog.task("T", ["a"]) as task:
            count = 0
            def handler(*_):
                global count
                count += 1
                with task.step("a"):
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0.002)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            end = time.monotonic() + 1
            told = 0
            while time.monotonic() < end:
                with task.step("a"):
                    told += 1
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        print(2 * (count + told) + 2)
    """
    expected = int(scene.run(program, alone=True))
    assert len(scene.spooled()) == expected


def test_a_signal_handler_that_raises_in_a_call_leaves_the_next_call_unharmed(scene: Scene) -> None:
    program = """
        class Enough(Exception): pass
        def handler(*_):
            raise Enough
        signal.signal(signal.SIGALRM, handler)
        client = clawlog.Client()
        for n in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + n % 10 * 0.0001)
                client.heartbeat("t", summary=str(n))
                time.sleep(0.002)
            except Enough:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert client.get_task(f"t{n}")["task_id"] == f"t{n}"
    """
    scene.run(program)


# ── Logging handlers ────────────────────────────────────────────────────────────────────────────────────────────────────

REPORTS = """
    class Reports(logging.Handler):
        def emit(self, record):
            if task is not None:
                task.heartbeat(record.getMessage())
    task = None
    logging.getLogger().addHandler(Reports())
    logging.getLogger().setLevel(logging.DEBUG)
"""


@pytest.mark.parametrize("alone", [True, False])
def test_a_logging_handler_may_call_also_while_the_daemon_is_away(scene: Scene, alone: bool) -> None:
    program = textwrap.dedent(REPORTS) + textwrap.dedent("""
        with clawlog.task("T", ["a"]) as task:
            for n in range(20):
                logging.info("working on %d", n)
            with task.step("a"):
                logging.warning("inside")
        print("end")
    """)
    assert scene.run(program, alone=alone) == "end\n"
    if alone:
        assert scene.spooled() == ["task.create", "step.update", "step.update", "task.update"]


def test_a_logging_handler_in_threads_holds_nobody_up(scene: Scene) -> None:
    """One thread holds the handler's lock and wants to call; another is in a call, and warns."""
    program = textwrap.dedent(REPORTS) + textwrap.dedent("""
        with clawlog.task("T", ["a"]) as task:
            def work():
                for n in range(50):
                    logging.warning("%d", n)
                    task.heartbeat()
            threads = [threading.Thread(target=work) for _ in range(4)]
            for each in threads: each.start()
            for each in threads: each.join()
    """)
    scene.run(program)
    scene.run(program, alone=True)


@pytest.mark.parametrize("alone", [True, False])
def test_the_librarys_own_handler_may_hang_at_every_logger(scene: Scene, alone: bool) -> None:
    program = """
        handler = clawlog.LogHandler()
        for name in (None, "clawlog", "a"):
            logging.getLogger(name).addHandler(handler)
        logging.getLogger().setLevel(logging.DEBUG)
        with clawlog.task("T", ["a"]) as task:
            mine = clawlog.LogHandler(task)
            logging.getLogger("threads").addHandler(mine)
            def work():
                for n in range(200):
                    logging.getLogger("threads").info("line %d", n)
            threads = [threading.Thread(target=work) for _ in range(4)]
            for each in threads: each.start()
            for n in range(200):
                logging.getLogger("a").warning("%d", n)
            signal.signal(signal.SIGALRM, lambda *_: logging.getLogger("a").info("in a signal handler"))
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            for each in threads: each.join()
            if os.fork() == 0:
                logging.getLogger("a").info("in a forked process")
                os._exit(0)
            assert os.wait()[1] == 0
    """
    scene.run(program, alone=alone)
    if alone:
        assert scene.spooled() == ["task.create", "task.update"], "a line of the log is true for now alone"
    else:
        assert 0 < scene.daemon.methods.count("task.heartbeat") < 20


# ── Threads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_waits_holds_no_other_thread_up(scene: Scene) -> None:
    scene.daemon.answers["interrupt.check"] = Trick.SILENCE
    program = """
        client = clawlog.Client()
        waits = threading.Thread(target=lambda: client.check_interrupt("t", wait_s=300), daemon=True)
        waits.start()
        time.sleep(0.3)
        begun = time.monotonic()
        client.heartbeat("t")
        print(time.monotonic() - begun < 2)
    """
    assert scene.run(program) == "True\n"


def test_threads_share_a_task(scene: Scene) -> None:
    program = """
        failures = []
        with clawlog.task("T", [str(n) for n in range(8)]) as task:
            def work(number):
                try:
                    with task.step(str(number)):
                        for n in range(150):
                            task.checkpoint()
                            if n % 10 == 0:
                                task.heartbeat(str(n))
                except BaseException as error:
                    failures.append(repr(error))
            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            for each in threads: each.start()
            for each in threads: each.join()
        print(failures)
    """
    assert scene.run(program) == "[]\n"
    assert len(scene.told()) == 2 + 2 * 8
    assert scene.daemon.connections < 30, "connections are kept, not made for each call"


# ── Fork and spawn ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("leaves", ["sys.exit(0)", "raise ValueError('in the child')", "pass"])
def test_a_forked_process_does_not_end_its_parents_task(scene: Scene, leaves: str) -> None:
    program = f"""
        try:
            with clawlog.task("T", ["a"]) as task:
                child = os.fork() == 0
                if child:
                    {leaves}
                else:
                    os.wait()
                    with task.step("a"):
                        task.checkpoint()
        except ValueError:
            pass
        if child:
            os._exit(0)
    """
    scene.run(program)
    assert scene.told() == [("task.create", None), ("step.update", "running"), ("step.update", "done"), ("task.update", "done")]


@pytest.mark.parametrize("leaves", ["os._exit(0)", "break", "sys.exit(0)", "pass"])
def test_a_process_that_is_forked_in_a_loop_does_not_end_its_parents_step(scene: Scene, leaves: str) -> None:
    program = f"""
        with clawlog.task("T", ["a"]) as task:
            for n in clawlog.track(range(4), "a"):
                if n == 2:
                    child = os.fork()
                    if child == 0:
                        assert clawlog.current_task() is task
                        {leaves}
                    else:
                        assert os.waitpid(child, 0)[1] == 0
            if child == 0:
                sys.exit(0)
    """
    scene.run(program)
    assert scene.told() == [("task.create", None), ("step.update", "running"), ("step.update", "done"), ("task.update", "done")]


def test_a_forked_process_and_its_parent_call_at_the_same_time(scene: Scene) -> None:
    program = """
        client = clawlog.Client()
        client.daemon_status()
        child = os.fork() == 0
        me = "child" if child else "parent"
        for n in range(200):
            assert client.get_task(f"{me}-{n}")["task_id"] == f"{me}-{n}"
        if child:
            os._exit(0)
        assert os.wait()[1] == 0
    """
    scene.run(program)


def test_a_process_that_is_forked_while_a_thread_is_in_a_call_can_call(scene: Scene) -> None:
    scene.daemon.answers["interrupt.check"] = Trick.SILENCE
    program = """
        client = clawlog.Client()
        threading.Thread(target=lambda: client.check_interrupt("t", wait_s=300), daemon=True).start()
        time.sleep(0.3)
        if os.fork() == 0:
            client.heartbeat("t")
            os._exit(0)
        assert os.wait()[1] == 0
        os._exit(0)
    """
    scene.run(program)


def test_a_process_that_is_forked_in_the_middle_of_a_call_leaves_it_to_its_parent(scene: Scene) -> None:
    """The handler forks while a call waits for its answer; both go on, and each gets its own answers."""
    program = """
        client = clawlog.Client()
        parent = os.getpid()
        children = []
        def handler(*_):
            if os.getpid() == parent:
                pid = os.fork()
                if pid:
                    children.append(pid)
        signal.signal(signal.SIGALRM, handler)
        for n in range(60):
            signal.setitimer(signal.ITIMER_REAL, 0.0002)
            for m in range(3):
                assert client.get_task(f"{n}-{m}")["task_id"] == f"{n}-{m}", os.getpid() == parent
            if os.getpid() != parent:
                os._exit(0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert children
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * len(children)
    """
    scene.run(program)


def test_a_fork_while_the_spool_is_written_holds_nobody_up(scene: Scene) -> None:
    program = """
        logging.disable(logging.CRITICAL)
        parent = os.getpid()
        children = []
        def handler(*_):
            if os.getpid() == parent:
                pid = os.fork()
                if pid == 0:
                    time.sleep(3)
                    os._exit(0)
                children.append(pid)
        signal.signal(signal.SIGALRM, handler)
        with clawlog.task("T", ["a"]) as task:
            for n in range(100):
                if len(children) < 20:
                    signal.setitimer(signal.ITIMER_REAL, 0.0003 + n % 7 * 0.0002)
                with task.step("a"):
                    pass
            signal.setitimer(signal.ITIMER_REAL, 0)
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    """
    scene.run(program, alone=True)
    assert len(scene.spooled()) == 202


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_may_report_and_do_not_end_the_task(scene: Scene, method: str) -> None:
    program = f"""
        import multiprocessing
        def work(task_id):
            with clawlog.Client() as client:
                client.heartbeat(task_id, summary=str(os.getpid()))
        if __name__ == "__main__":
            with clawlog.task("T") as task:
                with multiprocessing.get_context("{method}").Pool(2) as pool:
                    pool.map(work, [task.task_id] * 6)
                    pool.close()
                    pool.join()
                print(task.task_id)
    """
    scene.run(program)
    assert scene.told() == [("task.create", None), ("task.update", "done")]
    assert scene.daemon.methods.count("task.heartbeat") == 6


def test_a_task_that_is_sent_to_another_process_says_what_to_send_instead(scene: Scene) -> None:
    program = """
        import pickle
        with clawlog.task("T") as task:
            for each in (task, clawlog.Client()):
                try:
                    pickle.dumps(each)
                except TypeError as error:
                    print("task_id" in str(error))
    """
    assert scene.run(program) == "True\nTrue\n"


# ── Generators and the interpreter's end ────────────────────────────────────────────────────────────────────────────────


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


# ── A promise never to raise ────────────────────────────────────────────────────────────────────────────────────────────


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


# ── A call within a call, asyncio ───────────────────────────────────────────────────────────────────────────────────────


def test_what_is_called_at_a_stop_may_call(scene: Scene) -> None:
    scene.daemon.answers["interrupt.watch"] = STOP
    program = """
        def on_stop(stop):
            task.heartbeat(f"stopping: {stop.reason}")
            try:
                task.checkpoint()
            except clawlog.SoftStop:
                print("raised within")
        with clawlog.task("T", on_stop=on_stop) as task:
            task.checkpoint()
            print("not reached")
        print(task.stopped)
    """
    assert scene.run(program) == "raised within\nTrue\n"


def test_what_is_called_at_a_stop_and_raises_does_not_cost_the_stop(scene: Scene) -> None:
    scene.daemon.answers["interrupt.watch"] = STOP
    program = """
        import asyncio
        logging.disable(logging.CRITICAL)
        def on_stop(stop):
            raise ValueError("in your own function")
        async def main():
            async with clawlog.async_task("T", on_stop=on_stop) as task:
                await task.checkpoint()
                print("not reached")
            print(task.stopped)
        asyncio.run(main())
    """
    assert scene.run(program) == "True\n"


def test_an_asyncio_client_outlives_its_event_loop(scene: Scene) -> None:
    program = """
        import asyncio
        client = clawlog.AsyncClient()
        async def main(n):
            await asyncio.gather(*(client.heartbeat(f"{n}-{m}") for m in range(5)))
        for n in range(3):
            asyncio.run(main(n))
        asyncio.run(client.close())
    """
    scene.run(program)
    assert scene.daemon.methods.count("task.heartbeat") == 15


def test_a_fork_within_an_asyncio_task_leaves_the_parents_unharmed(scene: Scene) -> None:
    program = """
        import asyncio
        async def main():
            async with clawlog.async_task("T", ["a"]) as task:
                await task.heartbeat()
                if os.fork() == 0:
                    try:
                        await task.__aexit__(None, None, None)
                    finally:
                        os._exit(0)
                assert os.wait()[1] == 0
                async with task.step("a"):
                    await asyncio.wait_for(task.heartbeat("goes on"), 3)
        asyncio.run(main())
    """
    scene.run(program)
    assert scene.told() == [("task.create", None), ("step.update", "running"), ("step.update", "done"), ("task.update", "done")]


def test_cancelling_an_asyncio_task_ends_it_and_says_so(scene: Scene) -> None:
    program = """
        import asyncio
        async def work():
            async with clawlog.async_task("T", ["a"]) as task, task.step("a"):
                await asyncio.sleep(60)
        async def main():
            running = asyncio.create_task(work())
            await asyncio.sleep(0.3)
            running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                print("cancelled")
        asyncio.run(main())
    """
    assert scene.run(program) == "cancelled\n"
    assert scene.told()[-1] == ("task.update", "interrupted")


def test_the_programs_own_json_is_not_touched(scene: Scene) -> None:
    """Metadata and steps are the caller's own objects: they are read, not changed."""
    program = """
        import json
        metadata, steps = {"a": "b"}, ["one", "two"]
        with clawlog.task("T", steps, metadata=metadata):
            pass
        print(json.dumps([metadata, steps]))
    """
    assert json.loads(scene.run(program)) == [{"a": "b"}, ["one", "two"]]
    assert scene.daemon.answers["interrupt.watch"] == NO_STOP

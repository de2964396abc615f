"""The library is entered from anywhere, also while it is in a call: each of these programs would hang or fail otherwise."""

from __future__ import annotations

import json
import textwrap

import pytest

from process.tasks.conftest import Scene
from support.scripted_daemon import NO_STOP, STOP, Trick

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


def test_a_signal_handler_may_report_while_the_program_loads_more_of_the_library(scene: Scene) -> None:
    program = """
        def report():
            for _ in clawlog.track(range(2), "a"): pass
        def handler(frame, *_):
            if frame.f_code.co_name == "<module>" and "clawlog" in frame.f_code.co_filename: report()
        with clawlog.task("T", ["a"]):
            sys.settrace(handler)  # enters where a signal could, and never within itself
            report()
            sys.settrace(None)
        print("reported")
    """
    assert scene.run(program) == "reported\n"


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

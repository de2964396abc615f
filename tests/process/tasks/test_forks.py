"""A fork or a spawned process while the library is in use: it leaves the parent's tasks alone, and may call itself."""

from __future__ import annotations

import pytest

from process.tasks.conftest import Scene
from support.scripted_daemon import Trick


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

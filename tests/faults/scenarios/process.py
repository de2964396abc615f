"""Faults of the daemon's process: killed, stopped, started twice."""

from __future__ import annotations

import os
import random
import signal
import time

from faults.registry import fault
from faults.rig import Bench


@fault("kill -9 in a loop under load")
def kill_in_a_loop(bench: Bench) -> None:
    draw = random.Random(1)
    bench.daemon.start()
    kills = bench.scale(5, 120)
    with bench.load(agents=8, pause_s=0.002):
        for number in range(kills):
            bench.progress(f"kill {number + 1} of {kills}")
            bench.accept_more(draw.randint(5, 60))
            bench.daemon.kill()
            bench.daemon.start()
    bench.recover()
    bench.notes["kills"] = kills


@fault("kill -9 while the backend is down")
def kill_during_an_outage(bench: Bench) -> None:
    bench.backend.down()
    bench.daemon.start()
    for _ in range(bench.scale(2, 10)):
        bench.send(20)
        bench.daemon.kill()
        bench.daemon.start()
    bench.backend.up()
    bench.recover()


@fault("SIGSTOP of the daemon, then SIGCONT")
def stopped(bench: Bench) -> None:
    bench.daemon.start()
    with bench.load(agents=4, pause_s=0.005):
        bench.accept_more(50)
        os.kill(bench.daemon.pid, signal.SIGSTOP)
        time.sleep(bench.scale(2.0, 60.0))  # the fault itself: time passes, and the daemon does not know
        os.kill(bench.daemon.pid, signal.SIGCONT)
        bench.accept_more(50)
    bench.recover()


@fault("two daemons started together on one state folder")
def two_daemons(bench: Bench) -> None:
    rounds = bench.scale(3, 50)
    for number in range(rounds):
        bench.progress(f"round {number + 1} of {rounds}")
        both = [bench.daemon.spawn(), bench.daemon.spawn()]
        bench.until(bench.daemon.serves, "one of them serves")
        bench.until(lambda both=both: any(each.poll() is not None for each in both), "the other ends")
        bench.send(5, agents=2)
        ended = [each for each in both if each.poll() is not None]
        assert [each.returncode for each in ended] == [69], "the second must end with 69, and only that one"
        winner = next(each for each in both if each.poll() is None)
        assert bench.daemon.pid == winner.pid, "the lock names another process than the one that runs"
        if number < rounds - 1:
            winner.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
            winner.wait(10)
        else:
            bench.recover()
            winner.terminate()
            winner.wait(10)
    assert "has the state folder" in bench.daemon.log_path.read_text(), "the second must say why it ends"


@fault("16 agents at once, a clean stop amid the load")
def many_agents(bench: Bench) -> None:
    bench.daemon.start()
    with bench.load(agents=16, pause_s=0.002):
        bench.accept_more(bench.scale(300, 10_000), timeout_s=60)
        assert bench.daemon.stop() == 0
        bench.daemon.start()
        bench.accept_more(bench.scale(100, 1000))
    bench.recover()

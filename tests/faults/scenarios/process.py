"""Faults of the daemon's process: killed, stopped, started twice."""

from __future__ import annotations

import os
import random
import signal
import time

from faults.registry import fault
from faults.rig import Rig


@fault("kill -9 in a loop under load")
def kill_in_a_loop(rig: Rig) -> None:
    draw = random.Random(1)
    rig.daemon.start()
    kills = rig.scale(5, 120)
    with rig.load(agents=8, pause_s=0.002):
        for number in range(kills):
            rig.progress(f"kill {number + 1} of {kills}")
            rig.accept_more(draw.randint(5, 60))
            rig.daemon.kill()
            rig.daemon.start()
    rig.recover()
    rig.notes["kills"] = kills


@fault("kill -9 while the backend is down")
def kill_during_an_outage(rig: Rig) -> None:
    rig.backend.down()
    rig.daemon.start()
    for _ in range(rig.scale(2, 10)):
        rig.send(20)
        rig.daemon.kill()
        rig.daemon.start()
    rig.backend.up()
    rig.recover()


@fault("SIGSTOP of the daemon, then SIGCONT")
def stopped(rig: Rig) -> None:
    rig.daemon.start()
    with rig.load(agents=4, pause_s=0.005):
        rig.accept_more(50)
        os.kill(rig.daemon.pid, signal.SIGSTOP)
        time.sleep(rig.scale(2.0, 60.0))  # the fault itself: time passes, and the daemon does not know
        os.kill(rig.daemon.pid, signal.SIGCONT)
        rig.accept_more(50)
    rig.recover()


@fault("two daemons started together on one state folder")
def two_daemons(rig: Rig) -> None:
    rounds = rig.scale(3, 50)
    for number in range(rounds):
        rig.progress(f"round {number + 1} of {rounds}")
        both = [rig.daemon.spawn(), rig.daemon.spawn()]
        rig.until(rig.daemon.serves, "one of them serves")
        rig.until(lambda both=both: any(each.poll() is not None for each in both), "the other ends")
        rig.send(5, agents=2)
        ended = [each for each in both if each.poll() is not None]
        assert [each.returncode for each in ended] == [69], "the second must end with 69, and only that one"
        winner = next(each for each in both if each.poll() is None)
        assert rig.daemon.pid == winner.pid, "the lock names another process than the one that runs"
        if number < rounds - 1:
            winner.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
            winner.wait(10)
        else:
            rig.recover()
            winner.terminate()
            winner.wait(10)
    assert "has the state folder" in rig.daemon.log_path.read_text(), "the second must say why it ends"


@fault("16 agents at once, a clean stop amid the load")
def many_agents(rig: Rig) -> None:
    rig.daemon.start()
    with rig.load(agents=16, pause_s=0.002):
        rig.accept_more(rig.scale(300, 10_000), timeout_s=60)
        assert rig.daemon.stop() == 0
        rig.daemon.start()
        rig.accept_more(rig.scale(100, 1000))
    rig.recover()

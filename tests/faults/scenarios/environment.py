"""Faults of what the daemon lives in: clocks that jump, descriptors that run out, files that others left."""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import datetime

from clawlog.protocol import spool as spool_format
from clawlog.protocol.ids import new_uuid
from clawlog.spool import keep
from faults.load import connected
from faults.oracle import Change, Outcome
from faults.registry import faketime, faketime_library, fault, program
from faults.rig import Rig


@fault("the clock jumps by an hour, forth and back", faketime)
def clock_jumps(rig: Rig) -> None:
    offset = rig.folder / "offset"
    offset.write_text("+0")
    env = {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # waits of the interpreter's own would be mistaken
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    rig.daemon.start(env=env)
    with rig.load(agents=4, pause_s=0.005):
        for jump in rig.scale(("+1h", "-1h", "+0"), ("+1h", "+0", "-1h", "+0", "-2h", "+2h") * 3):
            offset.write_text(jump)
            rig.accept_more(40)
            if jump == "+1h":
                rig.until(lambda: _ahead_s(rig) > 3000, "the daemon's clock is moved")
        rig.backend.down()
        offset.write_text("+1h")
        rig.accept_more(40)
        rig.daemon.kill()
        offset.write_text("-1h")
        rig.daemon.start(env=env)
        rig.accept_more(40)
        rig.backend.up()
        offset.write_text("+0")
        rig.accept_more(40)
    rig.recover()


def _ahead_s(rig: Rig) -> float:
    """How far the newest task's time of creation lies in the future."""
    with connected(rig.daemon.socket_path) as connection:
        tasks = connection.call("task.list")["result"]["tasks"]
    newest = max(datetime.fromisoformat(task["created_at"]).timestamp() for task in tasks)
    return newest - time.time()


@fault("callers take all descriptors", program("prlimit"))
def descriptors_exhausted(rig: Rig) -> None:
    rig.daemon.start(wrapper=["prlimit", "--nofile=64:1024"])
    with rig.load(agents=2, pause_s=0.005):
        rig.accept_more(20)
        for _ in range(rig.scale(1, 5)):
            with contextlib.ExitStack() as stack:
                for _ in range(200):
                    caller = stack.enter_context(socket.socket(socket.AF_UNIX))
                    caller.settimeout(0.2)
                    with contextlib.suppress(OSError):
                        caller.connect(str(rig.daemon.socket_path))
                # Who is connected already is still served; the backend may be out of reach, for want of a descriptor.
                rig.accept_more(100)
                time.sleep(rig.scale(2.5, 5.0))  # housekeeping takes its turn: it opens files
                assert rig.daemon.alive, "the daemon lives through it"
            rig.accept_more(20)
    rig.recover()
    assert rig.daemon.log_path.stat().st_size < 100_000, "and does not fill the disk with complaints"


@fault("a torn spool file among good ones")
def torn_spool_file(rig: Rig) -> None:
    env = {"CLAWLOG_STATE_DIR": str(rig.daemon.state_dir)}
    folder = rig.daemon.state_dir / "spool"
    for number in range(rig.scale(4, 50)):
        task_id = _spool_task(rig, env, number)
        if number % 4 == 2:
            newest = max(folder.glob(f"*{spool_format.SUFFIX}"))
            newest.write_bytes(newest.read_bytes()[: -10 - number])
            rig.reported_gone += 1
        assert task_id
    rig.daemon.start()
    status = rig.recover()
    assert status["outbox"]["spool_set_aside"] == rig.reported_gone, "each torn file is set aside, and told"
    assert len(list((folder / "refused").glob(f"*{spool_format.SUFFIX}"))) == rig.reported_gone, "for a person to look at"
    assert not list(folder.glob(f"*{spool_format.SUFFIX}")), "and nothing else is left"


@fault("kill -9 while the spool is drained")
def killed_while_draining(rig: Rig) -> None:
    env = {"CLAWLOG_STATE_DIR": str(rig.daemon.state_dir)}
    folder = rig.daemon.state_dir / "spool"
    for number in range(rig.scale(30, 300)):
        _spool_task(rig, env, number)

    def waiting() -> int:
        return len(list(folder.glob(f"*{spool_format.SUFFIX}")))

    killed_amid = 0
    for _ in range(rig.scale(3, 40)):
        before = waiting()
        rig.daemon.spawn()
        rig.until(lambda before=before: waiting() < before or not before, "files are taken in", pause_s=0.0)  # they go fast
        rig.daemon.kill()
        killed_amid += 0 < waiting() < before
    rig.notes["killed amid"] = killed_amid
    rig.daemon.start()
    rig.recover()


def _spool_task(rig: Rig, env: dict[str, str], number: int) -> str:
    """Spools a new task with one step's change, as a program does when no daemon can be reached."""
    task_id, created, updated = new_uuid(), new_uuid(), new_uuid()
    step_id = f"{task_id[-12:]}-0"
    create = {
        "task_id": task_id,
        "event_id": created,
        "title": f"spooled {number}",
        "steps": [{"step_id": step_id, "title": "one"}],
        "summary": f"spooled {number}",
        "base_url": rig.backend.base_url,
    }
    mark = f"spooled mark {number}"
    update = {"task_id": task_id, "event_id": updated, "step": step_id, "status": "running", "summary": mark}
    keep([("task.create", create)], env)
    rig.ledger.note(Change(created, task_id, "task_created", summary=f"spooled {number}"), Outcome.ACCEPTED)
    if number % 4 != 2:  # those files are torn in another scenario: what follows a lost creation would be refused
        keep([("step.update", update)], env)
        change = Change(updated, task_id, "step_status", step_id, "running", mark)
        rig.ledger.note(change, Outcome.ACCEPTED)
    return task_id


@fault("the outbox at its bound")
def outbox_full(rig: Rig) -> None:
    rig.daemon = rig.make_daemon(max_events=200)
    rig.backend.down()
    rig.daemon.start()
    with rig.load(agents=4) as load:
        rig.until(lambda: load.refusals.get("outbox_full", 0) > 50, "the bound is met")
    status = rig.daemon.status()
    assert status["outbox"]["pending"] == 200, "exactly the bound, and nothing old was dropped"
    assert any("is full" in problem for problem in status["problems"])
    rig.daemon.kill()
    rig.daemon.start()
    rig.backend.up()
    rig.recover()
    rig.send(10)
    rig.recover()
    rig.notes["refused"] = load.refusals["outbox_full"]

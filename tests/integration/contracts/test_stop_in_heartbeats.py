"""A server that says only in the answer to a heartbeat whether a task is to stop is heard with each beat, and asked nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.responses import PlainTextResponse

from clawlogd.settings import Heartbeat
from support.foreign.beating import BeatingServer
from support.foreign.running import Front, served
from support.running_daemon import QUICK, RunningDaemon, until

OFTEN = msgspec.structs.replace(QUICK, heartbeat=Heartbeat(interval_s=1.0, jitter_s=0.0))


async def test_a_stop_is_seen_with_the_next_beat_and_a_state_is_known_as_long_as_beats_are_answered(tmp_path: Path) -> None:
    server = BeatingServer()
    front = Front(server.app)
    daemon = RunningDaemon(tmp_path, OFTEN)
    await daemon.start()
    with served(front) as url:
        task_id = (await daemon.call("task.create", title="T", steps=["one"], base_url=url))["task_id"]
        await daemon.flush()
        (task,) = server.held.tasks.values()

        async def state() -> str:
            return str((await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"])

        async def is_known() -> bool:
            return await state() == "none"

        await until(is_known)
        beats = task.beats
        assert [await state() for _ in range(20)] == ["none"] * 20
        assert task.beats <= beats + 1  # no beat is sent to ask

        server.held.press_stop(task.key)
        stop = await daemon.call("interrupt.check", task_id=task_id, wait_s=10)
        assert (stop["state"], stop["reason"]) == ("requested", "enough")
        await daemon.call("interrupt.ack", task_id=task_id, summary="stopped")
        await daemon.flush()
        assert task.acks == ["stopped"]
        await daemon.call("task.update", task_id=task_id, status="running")
        beats = task.beats
        await until(lambda: task.beats > beats)
        await until(is_known)

        front.answer = lambda method, path: PlainTextResponse("", 503) if path.endswith("/heartbeat") else None

        async def is_unknown() -> bool:
            return await state() == "unknown"

        await until(is_unknown)
        asked = {method for method, path in front.requests if not path.endswith("openapi.json")}
        assert asked == {"POST"}
        (control,) = [
            each for each in (await daemon.call("contract.show", base_url=url))["actions"] if each["action"] == "control"
        ]
        assert control["route"] == "POST /runs/tasks/{task_id}/heartbeat"
        assert control["reason"] == "the heartbeat's answer has interrupt_requested"
        front.answer = lambda method, path: None
        trial = await daemon.call("contract.try", base_url=url)
        (control,) = [each for each in trial["tried"] if each["action"] == "control"]
        assert (trial["ok"], control["outcome"], control["detail"]) == (True, "absent", "the heartbeat's answer says so")
    await daemon.stop()

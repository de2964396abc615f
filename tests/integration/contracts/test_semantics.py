"""Where servers of other shapes mean something else than the standard contract does, it is said and heard as they mean it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.responses import JSONResponse, RedirectResponse

from clawlogd.settings import Backend
from support.foreign.running import Front, served
from support.foreign.written import EnvelopedServer, StrictServer
from support.running_daemon import QUICK, RunningDaemon, until

CONTRACTS = Path(__file__).parents[2] / "support" / "foreign" / "contracts"


async def state(daemon: RunningDaemon, task_id: str) -> str:
    return str((await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"])


async def test_a_flag_that_stays_set_is_the_same_stop_until_its_time_changes(daemon: RunningDaemon) -> None:
    server = StrictServer()
    with served(server.app) as url:
        task_id = (await daemon.call("task.create", title="T", steps=["one"], base_url=url))["task_id"]
        await daemon.flush()
        (task,) = server.held.tasks.values()
        for number in (1, 2):
            server.held.press_stop(task.key)  # the second time the flag has not fallen meanwhile
            assert (await daemon.call("interrupt.check", task_id=task_id, wait_s=10))["state"] == "requested"
            await daemon.call("interrupt.ack", task_id=task_id, summary="stopped")
            await daemon.call("task.update", task_id=task_id, status="running")
            await daemon.flush()
            assert [await state(daemon, task_id) for _ in range(3)] == ["acknowledged"] * 3
            assert len(task.acks) == number


async def test_an_acknowledgement_without_an_open_stop_and_a_transition_in_effect_are_delivered(daemon: RunningDaemon) -> None:
    server = StrictServer()
    with served(server.app) as url:
        task_id = (await daemon.call("task.create", title="T", steps=["one"], base_url=url))["task_id"]
        await daemon.flush()
        (task,) = server.held.tasks.values()
        server.held.press_stop(task.key)
        assert (await daemon.call("interrupt.check", task_id=task_id, wait_s=10))["state"] == "requested"
        task.stop = False  # withdrawn meanwhile: the server answers 409 to the acknowledgement
        await daemon.call("interrupt.ack", task_id=task_id, summary="stopped")
        for _ in range(2):
            await daemon.call("step.update", task_id=task_id, step=1, status="done")
        await daemon.flush()
        assert task.acks == []
        assert [status for status, _ in task.steps[0].told] == ["running", "done", "done"]
        assert (await daemon.call("deadletter.list"))["dead_letters"] == []


async def test_an_error_within_a_success_is_that_error(daemon: RunningDaemon) -> None:
    server = EnvelopedServer()
    front = Front(server.app)
    failures = 3

    def answer(method: str, path: str) -> JSONResponse | None:
        nonlocal failures
        if method != "PATCH" or not failures:
            return None
        failures -= 1
        return JSONResponse({"code": 50001, "msg": "database is locked", "data": None})

    front.answer = answer
    with served(front) as url:
        task_id = (await daemon.call("task.create", title="T", steps=["one"], base_url=url))["task_id"]
        await daemon.call("step.update", task_id=task_id, step=1, status="running", summary="on")
        await daemon.flush()
        (task,) = server.held.tasks.values()
        assert (failures, task.steps[0].told) == (0, [("running", "on")])
        (lane,) = [each for each in (await daemon.call("daemon.status"))["backends"] if each["base_url"] == url]
        assert (lane["retried"], lane["dead_lettered"]) == (3, 0)


async def test_a_redirect_within_the_server_teaches_the_path_and_one_elsewhere_is_refused(tmp_path: Path) -> None:
    server, elsewhere = EnvelopedServer(), EnvelopedServer()
    front, other = Front(server.app), Front(elsewhere.app)
    contract = tmp_path / "contract.toml"
    text = (CONTRACTS / "enveloped.toml").read_text(encoding="utf-8")
    contract.write_text(text.replace('"/api/tasks/"', '"/api/tasks"'), encoding="utf-8")  # as one writes it who does not know
    with served(front) as url, served(other) as other_url:
        settings = msgspec.structs.replace(QUICK, backend=(Backend(url, contract=str(contract)),))
        daemon = RunningDaemon(tmp_path, settings)
        await daemon.start()
        for _ in range(3):
            await daemon.call("task.create", title="T", steps=["one"], base_url=url)
            await daemon.flush()
        creations = [path for method, path in front.requests if method == "POST" and path.strip("/") == "api/tasks"]
        assert creations == [
            "/api/tasks",
            "/api/tasks/",
            "/api/tasks/",
            "/api/tasks/",
        ]
        assert len(server.held.tasks) == 3
        front.answer = lambda method, path: RedirectResponse(f"{other_url}/api/tasks/", 307) if method != "GET" else None
        await daemon.call("task.create", title="T", steps=["one"], base_url=url)

        async def said() -> bool:
            (lane,) = [each for each in (await daemon.call("daemon.status"))["backends"] if each["base_url"] == url]
            return "redirects are not followed" in (lane["last_error"] or "") and lane["pending"] == 1

        await until(said)
        assert other.requests == []
        await daemon.stop()


async def test_a_task_without_steps_and_one_with_more_than_the_server_takes_arrive_as_well_as_they_can(
    daemon: RunningDaemon,
) -> None:
    server = StrictServer()
    with served(server.app) as url:
        await daemon.call("task.create", title="alone", base_url=url)
        await daemon.flush()
        titles = [f"step {number}" for number in range(1, 104)]
        task_id = (await daemon.call("task.create", title="many", steps=titles, base_url=url))["task_id"]
        await daemon.call("step.update", task_id=task_id, step=100, status="done", summary="last")
        await daemon.call("step.update", task_id=task_id, step=102, status="done", summary="told of the task")
        await daemon.flush()
        alone, many = server.held.tasks.values()
        assert [each.title for each in alone.steps] == ["alone"]
        assert [each.title for each in many.steps] == titles[:100]
        assert many.steps[99].told[-1] == ("done", "last")
        assert any("102" in each and "told of the task" in each for each in many.summaries)
        assert server.held.misused == []
        assert (await daemon.call("deadletter.list"))["dead_letters"] == []

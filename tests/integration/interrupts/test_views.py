"""What an agent in a sandbox reads of its stop in place of asking: as true, and as fresh, as an answer would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clawlog import view
from clawlog.protocol import jsonrpc
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until


@pytest.fixture
def env(folder: Path) -> dict[str, str]:
    return {"CLAWLOG_STATE_DIR": str(folder / "state")}


async def created(daemon: RunningDaemon, plain: PlainServer, task_id: str = "t") -> None:
    await daemon.call("task.create", title="T", task_id=task_id, base_url=plain.url)
    daemon.services.views.add([task_id])


async def test_it_says_what_a_check_would_answer_and_how_old_that_is(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str]
) -> None:
    await created(daemon, plain)
    await until(lambda: view.look("t", env).state == "none")
    before = view.look("t", env)
    answered = await daemon.call("interrupt.check", task_id="t", max_age_s=60)
    assert before.answer.rpartition(b'"age_s"')[0] == said(answered).rpartition(b'"age_s"')[0]
    assert view.look("t", env, 0.0).state == "unknown"


def said(answered: dict[str, Any]) -> bytes:
    return jsonrpc.dumps(answered)


async def test_it_is_renewed_while_the_backend_answers_and_grows_old_when_it_does_not(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str]
) -> None:
    await created(daemon, plain)
    await until(lambda: view.look("t", env).state == "none")
    path = daemon.state_dir / "run" / "view" / "t"
    first = path.stat().st_mtime_ns
    await until(lambda: path.stat().st_mtime_ns > first)
    assert view.look("t", env, 3.0).state == "none"
    await plain.stop()
    await until(lambda: view.look("t", env, 3.0).state == "unknown")


async def test_a_stop_is_there_at_once_whatever_its_age_and_goes_with_its_acknowledgement(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str]
) -> None:
    await created(daemon, plain)
    await until(lambda: view.look("t", env).state == "none")
    (number,) = plain.tasks
    plain.ask_to_stop(number, "wrong branch")
    await until(lambda: view.look("t", env, 0.0).state == "requested")
    await daemon.call("interrupt.ack", task_id="t")
    await until(lambda: view.look("t", env, 60.0).state == "acknowledged")


async def test_each_session_of_a_hooked_agent_has_one(daemon: RunningDaemon, env: dict[str, str]) -> None:
    answer = await daemon.call("agent.event", agent="codex", session_id="s", event="prompt", prompt="Go", cwd="/")
    await until((daemon.state_dir / "run" / "view" / answer["task_id"]).exists)


async def test_after_a_restart_those_that_are_needed_go_on(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str]
) -> None:
    await created(daemon, plain)
    await created(daemon, plain, "over")
    await daemon.call("task.update", task_id="over", status="done")
    folder = daemon.state_dir / "run" / "view"
    (folder / "nobody-knows-it").write_text("{}")
    await daemon.stop()
    await daemon.start()
    assert [path.name for path in folder.iterdir()] == ["t"]
    await until(lambda: view.look("t", env).state == "none")


@pytest.mark.parametrize("task_id", ["../drops", "..", "", "a/b", "t\0"])
def test_no_other_file_is_read(env: dict[str, str], folder: Path, task_id: str) -> None:
    (folder / "state" / "run" / "view").mkdir(parents=True)
    assert view.look(task_id, env).state == "unknown"

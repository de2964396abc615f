"""What programs wrote down while no daemon could be reached is taken in, in order; what cannot be used is set aside."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlog import spool as program_side
from clawlog.protocol import ids, spool
from clawlogd.interrupts.state import Control
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.spool import Spool
from clawlogd.settings import OutboxBounds, Summary
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until


@pytest.fixture
def unstarted(new_daemon: Any) -> RunningDaemon:
    return new_daemon()


def keep(daemon: RunningDaemon, method: str, **params: Any) -> dict[str, Any]:
    """Writes one call down as the scripts do, into the daemon's folder."""
    env = {"CLAWLOG_STATE_DIR": str(daemon.state_dir)}
    (result,) = program_side.keep([(method, {"event_id": ids.new_uuid(), **params})], env)
    return dict(result)


def files(daemon: RunningDaemon, folder: str = "spool") -> list[str]:
    found = (daemon.state_dir / folder).glob(f"*{spool.SUFFIX}*")
    return sorted(path.name for path in found)


async def test_a_whole_task_that_was_spooled_arrives_in_order_with_its_own_times(
    unstarted: RunningDaemon, plain: PlainServer
) -> None:
    made = keep(unstarted, "task.create", title="部署", task_id="t", steps=["一", "二"], base_url=plain.url)
    keep(unstarted, "step.update", task_id="t", step=made["steps"][0]["step_id"], status="running")
    keep(unstarted, "step.update", task_id="t", step=1, status="done", summary="good")
    keep(unstarted, "task.update", task_id="t", status="done")
    written = [spool.decode(path.read_bytes()).at for path in sorted((unstarted.state_dir / "spool").glob(f"*{spool.SUFFIX}"))]
    await unstarted.start()
    await unstarted.flush()
    assert [each.body.get("status") for each in plain.events] == [None, "running", "done", "done"]
    assert [each.body["at"] for each in plain.events[1:]] == written[1:]
    assert (plain.only_task.title, plain.only_task.status, plain.only_task.steps[0].summary) == ("部署", "done", "good")
    assert files(unstarted) == []


async def test_what_is_spooled_while_a_daemon_runs_is_taken_in_too(daemon: RunningDaemon, plain: PlainServer) -> None:
    keep(daemon, "task.create", title="T", task_id="t", base_url=plain.url)
    await plain.until_events(1)
    await until(lambda: files(daemon) == [])
    assert (await daemon.call("task.get", task_id="t"))["title"] == "T"


async def test_a_check_for_a_stop_knows_what_was_spooled_before_it(daemon: RunningDaemon, plain: PlainServer) -> None:
    for task_id in ("quiet", "stopped"):
        await daemon.call("task.create", title="T", task_id=task_id, base_url=plain.url)
    await daemon.flush()
    interrupts, stopped = daemon.services.interrupts, daemon.services.registry.get("stopped")
    interrupts.observe(stopped, Control(interrupt_requested=True, interrupt_id="now"))

    async def ask(task_id: str) -> str:
        states = [(await daemon.call("interrupt.check", task_id=each, max_age_s=60))["state"] for each in ("quiet", task_id)]
        assert states[0] == "none"
        return states[1]

    assert await ask("stopped") == "requested"
    keep(daemon, "interrupt.ack", task_id="stopped", interrupt_id="now")
    assert await ask("stopped") == "acknowledged"
    keep(daemon, "task.create", title="T", task_id="new", base_url=plain.url)
    assert await ask("new") in {"none", "unknown"}


async def test_a_file_is_seen_although_the_folders_time_is_another_clocks_and_does_not_move(
    daemon: RunningDaemon, plain: PlainServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within a tick bear one time, and that a tick has passed since cannot be told by comparing two clocks."""
    monkeypatch.setattr("clawlogd.rpc.spool_folder._CLOCK_GRAIN_S", 600.0)
    folder = daemon.state_dir / "spool"
    ahead = time.time() + 7200
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    for number in range(3):
        os.utime(folder, (ahead, ahead))
        await daemon.call("task.update", task_id="t", status="running", summary=f"{number} first")
        keep(daemon, "task.update", task_id="t", status="running", summary=f"{number} spooled")
        os.utime(folder, (ahead, ahead))
        await daemon.call("task.update", task_id="t", status="running", summary=f"{number} last")
    await plain.until_events(10)
    words = [each.body["summary"] for each in plain.events[1:]]
    assert words == [f"{number} {word}" for number in range(3) for word in ("first", "spooled", "last")]


async def test_a_call_that_was_taken_before_the_daemon_died_is_not_made_twice(
    unstarted: RunningDaemon, plain: PlainServer, tmp_path: Path
) -> None:
    keep(unstarted, "task.create", title="T", task_id="t", base_url=plain.url)
    copy = tmp_path / "spool"
    shutil.copytree(unstarted.state_dir / "spool", copy)
    await unstarted.start()
    await unstarted.flush()
    await unstarted.stop()
    shutil.copytree(copy, unstarted.state_dir / "spool", dirs_exist_ok=True)  # as if it had died before it removed the file
    await unstarted.start()
    await unstarted.flush()
    assert files(unstarted) == []
    assert len(plain.events) == 1


async def test_files_that_are_torn_or_no_calls_are_set_aside_with_the_reason(
    unstarted: RunningDaemon, plain: PlainServer
) -> None:
    keep(unstarted, "task.create", title="T", task_id="t", base_url=plain.url)
    folder = unstarted.state_dir / "spool"
    (whole,) = folder.glob(f"*{spool.SUFFIX}")
    torn = whole.read_bytes()[:-9]
    (folder / f"1{spool.SUFFIX}").write_bytes(torn)
    (folder / f"2{spool.SUFFIX}").write_bytes(b"")
    (folder / f"3{spool.SUFFIX}").write_bytes(spool.encode("yesterday", [("task.update", {})]))
    (folder / "4.draft").write_bytes(torn)
    await unstarted.start()
    await unstarted.flush()
    assert plain.only_task.title == "T"
    assert files(unstarted, "spool/refused") == [f"{n}{spool.SUFFIX}{why}" for n in (1, 2, 3) for why in ("", ".why")]
    refused = folder / "refused"
    assert (refused / f"1{spool.SUFFIX}").read_bytes() == torn
    assert "torn or damaged" in (refused / f"1{spool.SUFFIX}.why").read_text()
    assert "yesterday" in (refused / f"3{spool.SUFFIX}.why").read_text()
    assert (folder / "4.draft").exists()
    status = await unstarted.call("daemon.status")
    assert status["outbox"]["spool_set_aside"] == 3
    assert any("spooled calls that could not be used: 3" in problem for problem in status["problems"])


async def test_a_call_that_is_refused_is_set_aside_and_holds_up_nothing(unstarted: RunningDaemon, plain: PlainServer) -> None:
    keep(unstarted, "task.update", task_id="nobody-knows-it", status="done")
    keep(unstarted, "task.create", title="T", task_id="t", base_url=plain.url)
    await unstarted.start()
    await unstarted.flush()
    assert [task.title for task in plain.tasks.values()] == ["T"]
    (name, why) = files(unstarted, "spool/refused")
    assert why == f"{name}.why"
    assert "task.update: No task 'nobody-knows-it'" in (unstarted.state_dir / "spool" / "refused" / why).read_text()


async def test_what_belongs_to_a_connection_is_refused(unstarted: RunningDaemon, plain: PlainServer) -> None:
    keep(unstarted, "task.create", title="T", task_id="t", base_url=plain.url)
    at = "2026-02-28T09:00:00.000Z"
    for method in ("interrupt.watch", "no.such"):
        program_side.write(str(unstarted.state_dir / "spool"), spool.encode(at, [(method, {"task_id": "t"})]))
    await unstarted.start()
    reasons = [path.read_text() for path in sorted((unstarted.state_dir / "spool" / "refused").glob("*.why"))]
    assert ["cannot be watched from the spool" in reasons[0], "There is no method" in reasons[1]] == [True, True]


async def test_a_process_that_has_ended_since_is_no_reason_to_refuse_its_task(
    unstarted: RunningDaemon, plain: PlainServer
) -> None:
    keep(unstarted, "task.create", title="T", task_id="t", base_url=plain.url, watch_pid=2**31 - 1)
    await unstarted.start()
    await unstarted.flush()
    assert plain.only_task.title == "T"


async def test_a_summary_of_the_spool_is_treated_as_any_other(unstarted: RunningDaemon, plain: PlainServer) -> None:
    keep(
        unstarted, "task.create", title="T", task_id="t", base_url=plain.url, summary="two\nlines of ghp_0123456789abcdefABCDEF"
    )
    await unstarted.start()
    await unstarted.flush()
    assert plain.only_task.summary == "two lines of [masked]"


async def test_a_daemon_that_is_ending_leaves_the_spool_to_the_next(daemon: RunningDaemon, plain: PlainServer) -> None:
    later = Spool(
        folder=daemon.state_dir / "later",
        perform=lambda method, params, context, after: ending.perform(method, params, context, after),  # noqa: PLW0108 - made below
        known=lambda _: False,
        runtime=daemon.services.runtime,
    )
    ending = Dispatcher(services=daemon.services, gate=later)
    program_side.write(
        str(daemon.state_dir / "later"),
        spool.encode("2026-02-28T09:00:00.000Z", [("task.create", {"title": "T", "base_url": plain.url})]),
    )
    await ending.finish()
    assert await later.drain() == 0
    assert len(files(daemon, "later")) == 1
    assert daemon.services.runtime.spool_set_aside == 0


async def test_a_full_outbox_leaves_the_spool_as_it_is_until_there_is_room(new_daemon: Any, plain: PlainServer) -> None:
    import msgspec

    small = new_daemon(msgspec.structs.replace(QUICK, outbox=OutboxBounds(max_events=2)))
    await plain.stop()
    keep(small, "task.create", title="T", task_id="t", base_url=plain.url)
    for number in range(3):
        keep(small, "task.update", task_id="t", status="running", summary=f"number {number}")
    await small.start()
    assert len(files(small)) == 2
    await plain.start()
    await small.flush()
    await plain.until_events(4)
    assert [each.body.get("summary") for each in plain.events[1:]] == ["number 0", "number 1", "number 2"]
    assert files(small, "spool/refused") == []


@pytest.mark.parametrize("max_chars", [40, 300])
async def test_a_spooled_summary_is_cut_where_the_daemons_settings_say(
    new_daemon: Any, plain: PlainServer, max_chars: int
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, summary=Summary(max_chars=max_chars)))
    keep(daemon, "task.create", title="T", task_id="t", base_url=plain.url)
    keep(daemon, "task.update", task_id="t", status="running", summary="部" * 500)
    await daemon.start()
    await daemon.flush()
    assert plain.events[-1].body["summary"] == "部" * (max_chars - 1) + "…"

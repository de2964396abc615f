"""What the spool holds of a task comes before anything newer of that task is accepted, by whichever way it comes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from clawlog.protocol.errors import RpcError
from support.callers import Caller, DealerCaller, UnixCaller, call, exchange
from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer
from support.running_daemon import until
from support.spooling import FullDisk, files, keep

NOTHING_IS_TAKEN = {"CLAWLOG_OUTBOX_MAX_EVENTS": "3"}


def said(server: PlainServer) -> list[tuple[str | None, str | None]]:
    """Status and summary of every event that a server heard, in order, each once."""
    heard: dict[str | None, tuple[str | None, str | None]] = {}
    for each in server.events:
        heard.setdefault(each.key, (each.body.get("status"), each.body.get("summary")))
    return list(heard.values())


async def caller_by(way: str, process: DaemonProcess) -> Caller:
    if way == "unix":
        return await UnixCaller.connect(process.socket_path)
    return DealerCaller(f"ipc://{process.folder}/d.zmq")


@pytest.mark.parametrize("way", ["unix", "zeromq"])
async def test_a_call_that_comes_right_after_a_spooled_one_comes_second(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, way: str
) -> None:
    process = await new_process(CLAWLOG_BASE_URL=plain.url).start("--zmq", f"ipc://{new_process().folder}/d.zmq")
    caller = await caller_by(way, process)
    await call(caller, "task.create", title="T", task_id="t", steps=["one"])
    for _ in range(5):
        keep(process.state_dir, "step.update", task_id="t", step=1, status="running")
        await call(caller, "step.update", task_id="t", step=1, status="done")
    await until(lambda: len(said(plain)) == 11)
    assert [status for status, _ in said(plain)[1:]] == ["running", "done"] * 5
    assert files(process.state_dir) == []
    await caller.close()


async def test_a_task_that_is_in_the_spool_is_known_to_the_next_call(process: DaemonProcess) -> None:
    for number in range(5):
        keep(process.state_dir, "task.create", title="T", task_id=f"t{number}", steps=["one"])
        assert (await process.call("task.get", task_id=f"t{number}"))["title"] == "T"


async def test_spooled_while_the_outbox_is_full_it_is_heard_before_what_came_when_room_was_made(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    down = True
    plain.intercept = lambda request: 503 if down and request.is_event else None
    process = await new_process(CLAWLOG_BASE_URL=plain.url, **NOTHING_IS_TAKEN).start()
    await process.call("task.create", title="T", task_id="t", steps=["one"])
    for number in range(2):
        await process.call("task.update", task_id="t", status="running", summary=f"fills {number}")
    keep(process.state_dir, "step.update", task_id="t", step=1, status="running", summary="spooled")
    with pytest.raises(RpcError, match="wait for delivery") as refused:
        await process.call("step.update", task_id="t", step=1, status="done", summary="refused")
    assert refused.value.name == "outbox_full"
    down = False
    await plain.until_events(3)

    async def accepted() -> bool:
        try:
            await process.call("step.update", task_id="t", step=1, status="done", summary="after")
        except RpcError as error:
            assert error.name == "outbox_full"  # noqa: PT017 - what was spooled has taken the room
            return False
        return True

    await until(accepted)
    await until(lambda: len(said(plain)) == 5)
    assert [summary for _, summary in said(plain)[3:]] == ["spooled", "after"]


async def test_what_cannot_be_drained_holds_back_its_own_tasks_and_no_others(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    process = await new_process(CLAWLOG_BASE_URL=plain.url).start()
    for task_id in ("spooled", "other"):
        await process.call("task.create", title=task_id, task_id=task_id, steps=["one"])
    disk = FullDisk(process.process.pid)
    disk.fill()
    keep(process.state_dir, "step.update", task_id="spooled", step=1, status="running")
    with pytest.raises(RpcError) as refused:
        await process.call("step.update", task_id="spooled", step=1, status="done")
    assert refused.value.name == "storage_failed"
    assert (await process.call("task.get", task_id="spooled"))["steps"][0]["status"] == "pending"
    disk.make_room()

    async def taken() -> bool:
        try:
            await process.call("step.update", task_id="spooled", step=1, status="done")
        except RpcError as error:
            assert error.name == "storage_failed"  # noqa: PT017 - until it is found that there is room
            return False
        return True

    await until(taken)
    await until(lambda: len(said(plain)) == 4)
    assert [status for status, _ in said(plain)[2:]] == ["running", "done"]


async def test_what_is_spooled_right_after_a_refusal_is_seen_by_the_next_call(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    """A drain that was refused is not tried again for a moment; the folder is looked at all the same."""
    process = await new_process(CLAWLOG_BASE_URL=plain.url).start()
    disk = FullDisk(process.process.pid)
    disk.fill()
    for number in range(5):
        keep(process.state_dir, "task.create", title="T", task_id=f"before{number}")
        for task_id in (f"before{number}", f"after{number}"):
            if task_id.startswith("after"):
                keep(process.state_dir, "task.create", title="T", task_id=task_id)
            with pytest.raises(RpcError) as refused:
                await process.call("task.update", task_id=task_id, status="running")
            assert refused.value.name == "storage_failed", refused.value
    disk.make_room()
    await until(lambda: len(said(plain)) == 10)
    assert files(process.state_dir) == []


async def test_what_a_commit_failed_for_amid_a_drain_stays_in_the_spool(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    """The first calls' commit fails while the file is asked about the later ones, which are then refused at once."""
    process = await new_process(CLAWLOG_BASE_URL=plain.url).start()
    await process.call("task.create", title="T", task_id="t")
    disk = FullDisk(process.process.pid)
    words = [f"word {number}" for number in range(8)]
    for half in (words[:4], words[4:]):
        disk.fill()
        for number, word in enumerate(half):
            asked = {"event_id": str(uuid.uuid4())} if number else {}  # of such an id the time does not show that it is new
            keep(process.state_dir, "task.update", task_id="t", status="running", summary=word, **asked)
        with pytest.raises(RpcError) as refused:
            await process.call("task.update", task_id="t", status="running", summary="refused")
        assert refused.value.name == "storage_failed"
        assert len(files(process.state_dir)) == 4
        disk.make_room()
        await until(lambda: files(process.state_dir) == [])
    await until(lambda: len(said(plain)) >= 1 + len(words))
    assert [summary for _, summary in said(plain)[1:]] == words


async def test_what_fits_does_not_overtake_what_did_not_fit(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    """A caller that pipelines learns too late that the first was refused; it spools it, after the second was taken."""
    plain.intercept = lambda request: 503 if request.is_event else None
    process = await new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_OUTBOX_MAX_BYTES="1100").start()
    caller = await process.connect()
    await call(caller, "task.create", title="T" * 200, task_id="t", steps=["one", "two"])
    await call(caller, "task.update", task_id="t", status="running", summary="x" * 120)
    filled = (await call(caller, "daemon.status"))["outbox"]["bytes"]
    while filled < 900:
        await call(caller, "task.update", task_id="t", status="running", summary="x" * max(1, 700 - filled))
        filled = (await call(caller, "daemon.status"))["outbox"]["bytes"]
    long_one = {"task_id": "t", "status": "running", "summary": "long " * 23}
    short_one = {"task_id": "t", "status": "running"}
    for number, params in enumerate((long_one, short_one)):
        await caller.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "task.update", "params": params}).encode())
    answers = [json.loads(await caller.receive()) for _ in range(2)]
    assert [each.get("error", {}).get("data", {}).get("code") for each in answers] == ["outbox_full", "outbox_full"], filled
    await caller.close()


async def test_after_a_restart_the_spool_comes_first(new_process: Callable[..., DaemonProcess], plain: PlainServer) -> None:
    process = await new_process(CLAWLOG_BASE_URL=plain.url).start()
    await process.call("task.create", title="T", task_id="t", steps=["one"])
    for ended in (process.stop, process.kill):
        await ended()
        keep(process.state_dir, "step.update", task_id="t", step=1, status="running")
        await process.start()
        await process.call("step.update", task_id="t", step=1, status="done")
    await until(lambda: len(said(plain)) == 5)
    assert [status for status, _ in said(plain)[1:]] == ["running", "done"] * 2


async def test_many_spooled_calls_do_not_keep_others_waiting_for_long(process: DaemonProcess) -> None:
    await process.call("task.create", title="T", task_id="t")
    for number in range(100):
        keep(process.state_dir, "task.update", task_id="t", status="running", summary=f"{number}")
    await process.call("task.update", task_id="t", status="running", summary="after")
    assert (await process.call("task.get", task_id="t"))["summary"] == "after"
    assert files(process.state_dir) == []


async def test_a_file_that_is_no_call_holds_up_nothing(process: DaemonProcess) -> None:
    await process.call("task.create", title="T", task_id="t")
    (process.state_dir / "spool").mkdir(exist_ok=True)
    (process.state_dir / "spool" / "00000000000000000001.call").write_text("torn")
    assert (await process.call("task.update", task_id="t", status="running"))["accepted"] is True
    assert files(process.state_dir) == []


async def test_an_array_waits_for_the_spool_too(process: DaemonProcess) -> None:
    await process.call("task.create", title="T", task_id="t", steps=["one"])
    keep(process.state_dir, "step.update", task_id="t", step=1, status="done", summary="spooled")
    caller = await process.connect()
    got = await exchange(caller, [{"jsonrpc": "2.0", "id": 1, "method": "task.get", "params": {"task_id": "t"}}])
    assert got[0]["result"]["steps"][0]["summary"] == "spooled"
    await caller.close()

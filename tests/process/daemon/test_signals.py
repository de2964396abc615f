"""However the daemon is ended, it ends in time, and what it accepted is delivered."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest

from support.callers import UnixCaller
from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes connections and never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.close()
    await server.wait_closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_end_it_ends_with_0_says_so_and_keeps_what_waits(
    process: DaemonProcess, plain: PlainServer, number: signal.Signals
) -> None:
    await plain.stop()
    await process.call("task.create", title="T", task_id="t", base_url=plain.url)
    asked = time.monotonic()
    process.process.send_signal(number)
    await process.until_notified("STOPPING=1")
    assert await process.ended() == 0
    assert time.monotonic() - asked < 5
    assert f"name={number.name}" in process.log
    assert "Traceback" not in process.log
    await plain.start()
    await process.start()
    await plain.until_events(1)
    assert plain.only_task.title == "T"


async def test_it_can_be_ended_whatever_its_starter_blocks_and_ignores(new_process: Callable[..., DaemonProcess]) -> None:
    """``clawlog run`` blocks every signal where it starts a daemon, a shell ignores some in the background."""

    def inherit() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    process = new_process()
    await process.start(preexec_fn=inherit)
    assert await process.stop() == 0


async def test_with_its_backend_up_it_delivers_before_it_ends(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    process = await new_process(CLAWLOG_SHUTDOWN_DELIVER_S="10", CLAWLOG_BATCH_MIN_INTERVAL_S="0.5").start()
    for number in range(5):
        await process.call("task.create", title=f"{number}", base_url=plain.url)
    assert await process.stop() == 0
    assert [task.title for task in plain.tasks.values()] == [str(number) for number in range(5)]


async def test_a_second_signal_cuts_the_last_try_short(new_process: Callable[..., DaemonProcess], silent: str) -> None:
    process = await new_process(CLAWLOG_SHUTDOWN_DELIVER_S="60", CLAWLOG_SHUTDOWN_DEADLINE_S="60").start()
    await process.call("task.create", title="T", task_id="t", base_url=silent)
    process.process.send_signal(signal.SIGTERM)
    await process.until_notified("STOPPING=1")
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    await process.start()
    assert (await process.call("task.get", task_id="t"))["pending"] == 1
    process.process.send_signal(signal.SIGTERM)
    process.process.send_signal(signal.SIGTERM)


async def test_the_deadline_ends_all_come_what_may(new_process: Callable[..., DaemonProcess], silent: str) -> None:
    process = await new_process(CLAWLOG_SHUTDOWN_DELIVER_S="60", CLAWLOG_SHUTDOWN_DEADLINE_S="0.5").start()
    await process.call("task.create", title="T", task_id="t", base_url=silent)
    asked = time.monotonic()
    assert await process.stop() == 0
    assert time.monotonic() - asked < 5


async def test_a_caller_that_waits_is_told_that_the_daemon_ends(process: DaemonProcess, plain: PlainServer) -> None:
    await process.call("task.create", title="T", task_id="t", base_url=plain.url)
    caller = await process.connect()
    await caller.send(
        b'{"jsonrpc":"2.0","id":"w","method":"interrupt.check","params":{"task_id":"t","wait_s":300,"max_age_s":0}}'
    )
    await caller.send(b'{"jsonrpc":"2.0","id":"after","method":"daemon.status"}')
    await plain.until(lambda: bool(plain.tasks))
    process.process.send_signal(signal.SIGTERM)
    replies = [json.loads(line) for line in await caller.receive_rest()]
    assert [(reply["id"], reply["error"]["code"], reply["error"]["data"]["code"]) for reply in replies] == [
        ("w", -32005, "shutting_down"),
        ("after", -32005, "shutting_down"),
    ]
    await caller.close()
    assert await process.ended() == 0


async def test_what_was_answered_before_a_kill_is_delivered_once_and_in_order(
    process: DaemonProcess, plain: PlainServer
) -> None:
    await plain.stop()
    await process.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    answered: list[str] = []
    for _ in range(3):
        caller = await process.connect()
        flood = asyncio.create_task(_flood(caller))
        while len(answered) % 50 != 49:
            answered.append(json.loads(await caller.receive())["result"]["event_id"])
        await process.kill()
        flood.cancel()
        await asyncio.wait([flood])
        await caller.close()
        await process.start()
    await plain.start()
    assert (await process.call("daemon.flush", timeout_s=30))["flushed"] is True
    delivered = [each.key for each in plain.events[1:]]
    assert len(set(delivered)) == len(delivered)
    # Others whose answer was not read may have been accepted, too; those that were answered are all there, in order.
    wanted = set(answered)
    assert [each for each in delivered if each in wanted] == answered
    assert (await process.call("daemon.status"))["outbox"]["lost"] == 0


async def _flood(caller: UnixCaller) -> None:
    request = b'{"jsonrpc":"2.0","id":1,"method":"step.update","params":{"task_id":"t","step":1,"status":"running"}}'
    try:
        while True:
            await caller.send(request)
    except ConnectionError:
        return


async def test_a_hangup_makes_it_try_again_at_once(new_process: Callable[..., DaemonProcess], plain: PlainServer) -> None:
    process = await new_process(CLAWLOG_RETRY_MAX_DELAY_S="3600", CLAWLOG_RETRY_MAX_RETRY_AFTER_S="3600").start()
    plain.intercept = lambda _: 429
    plain.retry_after = "3600"
    await process.call("task.create", title="T", base_url=plain.url)
    await plain.until(lambda: bool(plain.requests))
    plain.intercept = lambda _: None
    process.process.send_signal(signal.SIGHUP)
    await process.until_notified("RELOADING=1")
    await plain.until_events(1)
    assert (await process.call("daemon.status"))["pid"] == process.process.pid


async def test_a_signal_that_comes_while_it_starts_ends_it_in_order(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process()
    await process.start()
    await process.stop()
    await process.launch()
    while not process.socket_path.exists():  # noqa: ASYNC110 - nothing announces it: READY=1 comes later
        await asyncio.sleep(0.001)
    process.process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert not process.socket_path.exists()

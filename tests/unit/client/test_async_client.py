from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawlog.async_client import AsyncClient
from clawlog.connection import calls
from clawlog.connection.results import Accepted, Beat, StopPhase, StopState
from clawlog.errors import DaemonUnreachable, ProtocolViolation, Refused
from clawlog.protocol.errors import SHUTTING_DOWN, UNKNOWN_STEP, RpcError
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, CurveKeys, ScriptedDaemon, Trick, on_zeromq


@pytest.fixture
async def client(daemon: ScriptedDaemon, env: dict[str, str]) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(daemon.address, env=env) as connected:
        yield connected


async def test_has_every_verb_of_the_blocking_client() -> None:
    from clawlog.client import Client

    public = {name for name in vars(Client) if not name.startswith("_")}
    assert public <= {name for name in vars(AsyncClient) if not name.startswith("_")}


async def test_performs_a_verb(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    assert await client.update_step("t", "检查", "done", event_id="e") == Accepted("e", 1)
    assert daemon.only("step.update")["step"] == "检查"


async def test_calls_made_together_share_one_connection_and_get_their_own_answers(
    daemon: ScriptedDaemon, client: AsyncClient
) -> None:
    daemon.answers["task.get"] = lambda params: {"echo": params["task_id"]}
    answers = await asyncio.gather(*(client.get_task(str(n)) for n in range(200)))
    assert [each["echo"] for each in answers] == [str(n) for n in range(200)]
    assert daemon.connections == 1


async def test_a_refusal_is_raised(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no step 'x'")
    with pytest.raises(Refused, match="no step"):
        await client.update_step("t", "x", "done")


async def test_a_lost_connection_is_made_anew_and_the_same_event_repeated(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    tricks = [Trick.HANG_UP]
    polite = daemon.answers["task.update"]
    daemon.answers["task.update"] = lambda params: tricks.pop() if tricks else polite(params)
    await client.update_task("t", "done")
    first, second = daemon.requests
    assert first.params == second.params


async def test_a_connection_that_is_lost_each_time_is_given_up(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    daemon.answers["task.update"] = Trick.HANG_UP
    with pytest.raises(DaemonUnreachable, match="lost"):
        await client.update_task("t", "done")
    assert daemon.methods == ["task.update"] * 3


async def test_a_silent_daemon_is_a_time_out(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    daemon.answers["task.list"] = Trick.SILENCE
    async with AsyncClient(daemon.address, env=env, timeout_s=0.1) as client:
        with pytest.raises(DaemonUnreachable, match="in time"):
            await client.list_tasks()
        assert await client.heartbeat("t") == Beat(15.0)


async def test_a_call_behind_a_waiting_one_is_given_its_time(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    released = threading.Event()

    def slowly(params: object) -> dict[str, object]:
        released.wait(0.3)
        return NO_STOP

    daemon.answers["interrupt.check"] = slowly
    async with AsyncClient(daemon.address, env=env, timeout_s=0.1) as client:
        answers = await asyncio.gather(client.check_interrupt("t", wait_s=5), client.heartbeat("t"))
    assert answers == [StopState(StopPhase.NONE, age_s=0.25), Beat(15.0)]


async def test_a_cancelled_call_leaves_the_connection_usable(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    daemon.answers["task.list"] = Trick.SILENCE
    pending = asyncio.create_task(client.list_tasks())
    await asyncio.to_thread(daemon.wait_for, "task.list")
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    assert await client.heartbeat("t") == Beat(15.0)
    assert daemon.connections == 1


async def test_something_else_at_the_socket_is_told_as_such(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    daemon.answers["daemon.status"] = Trick.GARBAGE
    with pytest.raises(ProtocolViolation, match="Not a reply of clawlogd"):
        await client.daemon_status()


async def test_what_a_daemon_about_to_go_declines_is_for_the_next_one(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    tricks = [RpcError(SHUTTING_DOWN, "going")]
    polite = daemon.answers["task.update"]
    daemon.answers["task.update"] = lambda params: tricks.pop() if tricks else polite(params)
    await client.update_task("t", "done")
    first, second = daemon.requests
    assert (first.params, daemon.connections) == (second.params, 2)


async def test_a_pipeline_keeps_the_order_and_a_refusal_holds_up_nothing(daemon: ScriptedDaemon, client: AsyncClient) -> None:
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no")
    batch = [calls.heartbeat("t"), calls.update_step("t", 9, "done"), calls.heartbeat("t")]
    first, second, third = await client.pipeline(batch)
    assert (first, third) == (Beat(15.0), Beat(15.0))
    assert isinstance(second, Refused)
    assert daemon.methods == ["task.heartbeat", "step.update", "task.heartbeat"]


async def test_no_daemon_is_told_with_its_address(env: dict[str, str]) -> None:
    async with AsyncClient(env=env) as client:
        with pytest.raises(DaemonUnreachable, match=r"state/run/clawlogd\.sock"):
            await client.heartbeat("t")


async def test_leaves_no_task_behind(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    async with AsyncClient(daemon.address, env=env) as client, client.watch_interrupt("t") as watch:
        await client.heartbeat("t")
        await watch.next(5)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


class TestWatch:
    async def test_iterates_over_the_states(self, daemon: ScriptedDaemon, client: AsyncClient) -> None:
        states = []
        async with client.watch_interrupt("t") as watch:
            async for stop in watch:
                states.append(stop.state)
                if stop.state is StopPhase.NONE:
                    daemon.push(**UNKNOWN)
                    daemon.push(**STOP)
                if stop.interrupt_requested:
                    break
        assert states == [StopPhase.NONE, StopPhase.UNKNOWN, StopPhase.REQUESTED]

    async def test_calls_back_as_soon_as_a_change_comes(self, daemon: ScriptedDaemon, client: AsyncClient) -> None:
        stopped = asyncio.Event()
        async with client.watch_interrupt("t", on_change=lambda stop: stopped.set() if stop.interrupt_requested else None):
            await asyncio.to_thread(daemon.wait_for, "interrupt.watch")
            daemon.push(**STOP)
            async with asyncio.timeout(5):
                await stopped.wait()

    async def test_says_none_when_nothing_came_in_time(self, daemon: ScriptedDaemon, client: AsyncClient) -> None:
        async with client.watch_interrupt("t") as watch:
            await watch.next(5)
            assert await watch.next(0.02) is None

    async def test_a_lost_connection_is_told_and_the_next_call_asks_again(
        self, daemon: ScriptedDaemon, client: AsyncClient
    ) -> None:
        async with client.watch_interrupt("t") as watch:
            await watch.next(5)
            waiting = asyncio.create_task(watch.next(5))
            await asyncio.sleep(0)
            await asyncio.to_thread(daemon.hang_up)
            with pytest.raises(DaemonUnreachable):
                await waiting
            assert await watch.next(5) == StopState(StopPhase.NONE, age_s=0.25)

    async def test_an_unknown_task_is_refused(self, daemon: ScriptedDaemon, client: AsyncClient) -> None:
        daemon.answers["interrupt.watch"] = RpcError(-32001, "no such task")
        async with client.watch_interrupt("t") as watch:
            with pytest.raises(Refused, match="no such task"):
                await watch.next(5)


async def test_speaks_to_a_router_over_ipc(short_dir: Path, env: dict[str, str]) -> None:
    with on_zeromq(f"ipc://{short_dir}/z") as daemon:
        async with AsyncClient(daemon.address, env=env) as client:
            daemon.answers["task.get"] = lambda params: {"echo": params["task_id"]}
            answers = await asyncio.gather(*(client.get_task(f"{n}" * 300) for n in range(100)))
    assert [each["echo"] for each in answers] == [f"{n}" * 300 for n in range(100)]


async def test_speaks_over_tcp_with_curve(env: dict[str, str], tmp_path: Path) -> None:
    keys = CurveKeys.new()
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_bytes(keys.client_secret)
    env |= {
        "CLAWLOG_ZMQ_SERVER_KEY": keys.server_public.decode(),
        "CLAWLOG_ZMQ_PUBLIC_KEY": keys.client_public.decode(),
        "CLAWLOG_ZMQ_SECRET_KEY_FILE": str(secret),
    }
    with on_zeromq("tcp://127.0.0.1:*", keys) as daemon:
        async with AsyncClient(daemon.address, env=env) as client:
            assert await client.heartbeat("t") == Beat(15.0)

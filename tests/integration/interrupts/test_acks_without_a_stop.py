"""An acknowledgement answers a stop; where none is known, and the backend knows of none, it is refused and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlog.protocol.errors import RpcError
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until
from support.spooling import files, keep


async def begin(daemon: RunningDaemon, url: str) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=url)
    await daemon.flush()


async def refusal(daemon: RunningDaemon, **params: object) -> RpcError:
    with pytest.raises(RpcError) as refused:
        await daemon.call("interrupt.ack", task_id="t", **params)
    return refused.value


async def test_an_ack_of_nothing_is_refused_and_the_task_goes_on(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url)
    refused = await refusal(daemon)
    assert (refused.code, refused.name) == (-32008, "no_open_interrupt")
    assert (await daemon.call("task.get", task_id="t"))["status"] == "pending"
    assert (await daemon.call("step.update", task_id="t", step=1, status="done"))["accepted"] is True
    await daemon.flush()
    assert not [each for each in plain.requests if each.path.endswith("/ack")]


async def test_a_stop_that_only_the_backend_knows_of_is_acknowledged(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url)
    await until(lambda: any(each.path.endswith("/control") for each in plain.requests))
    plain.ask_to_stop(plain.only_task.task_id)
    assert (await daemon.call("interrupt.ack", task_id="t"))["accepted"] is True
    await daemon.flush()
    assert plain.only_task.status == "interrupted"
    assert (await daemon.call("task.get", task_id="t"))["status"] == "interrupted"


async def test_where_the_backend_is_silent_an_ack_of_nothing_known_is_refused(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await begin(daemon, plain.url)
    await plain.stop()
    assert (await refusal(daemon)).name == "no_open_interrupt"
    assert (await daemon.call("task.get", task_id="t"))["status"] == "pending"


async def test_an_ack_of_a_known_stop_waits_for_nobody(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url)
    plain.ask_to_stop(plain.only_task.task_id)

    async def known() -> bool:
        return bool((await daemon.call("interrupt.check", task_id="t", max_age_s=60))["interrupt_requested"])

    await until(known)
    await plain.stop()
    assert (await daemon.call("interrupt.ack", task_id="t"))["accepted"] is True


async def test_the_newest_acknowledged_stop_may_be_acknowledged_again(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url)
    stop = plain.ask_to_stop(plain.only_task.task_id)
    await daemon.call("interrupt.ack", task_id="t")
    assert (await daemon.call("interrupt.ack", task_id="t"))["accepted"] is True
    assert (await daemon.call("interrupt.ack", task_id="t", interrupt_id=str(stop.interrupt_id)))["accepted"] is True


async def test_a_spooled_ack_of_nothing_is_set_aside(daemon: RunningDaemon, plain: PlainServer) -> None:
    await begin(daemon, plain.url)
    keep(daemon.state_dir, "interrupt.ack", task_id="t")
    assert (await daemon.call("task.get", task_id="t"))["status"] == "pending"
    await until(lambda: files(daemon.state_dir) == [])
    (why,) = (daemon.state_dir / "spool" / "refused").glob("*.why")
    assert "interrupt.ack" in Path(why).read_text()  # noqa: ASYNC240 - one short read

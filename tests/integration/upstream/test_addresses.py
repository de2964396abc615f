"""One server is one lane, however its address is spelt; a host's own names are one where the token is concerned."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("HTTP://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://LocalHost:9/", "http://localhost:9"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:", "http://localhost"),
        ("https://backend.invalid:443/", "https://backend.invalid"),
        ("https://Backend.INVALID:443/Clawlog//", "https://backend.invalid/Clawlog"),
        ("https://backend.invalid.:8443", "https://backend.invalid:8443"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://[0:0:0:0:0:0:0:1]:9", "http://[::1]:9"),
        ("http://127.0.0.1:09", "http://127.0.0.1:9"),
    ],
)
async def test_a_new_task_bears_its_backends_address_in_one_form(daemon: RunningDaemon, given: str, canonical: str) -> None:
    assert (await daemon.call("task.create", title="T", base_url=given))["base_url"] == canonical


async def test_one_server_in_many_spellings_has_one_lane(daemon: RunningDaemon) -> None:
    for spelt in ("http://127.0.0.1:9", "http://127.0.0.1:9/", "HTTP://127.0.0.1:9//", "http://127.0.0.1:0009"):
        await daemon.call("task.create", title="T", base_url=spelt)
    assert [lane["base_url"] for lane in (await daemon.call("daemon.status"))["backends"]] == ["http://127.0.0.1:9"]


async def test_the_default_backend_is_the_same_server_as_one_that_is_named(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=plain.url.replace("http", "HTTP") + "/"))
    await daemon.start()
    await daemon.call("task.create", title="T")
    await daemon.call("task.create", title="U", base_url=plain.url)
    await daemon.flush()
    status = await daemon.call("daemon.status")
    assert [lane["base_url"] for lane in status["backends"]] == [plain.url]
    assert status["base_url"] == plain.url


@pytest.mark.parametrize("default", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("named", ["localhost", "127.0.0.1", "LOCALHOST"])
async def test_the_token_goes_to_the_same_server_by_its_other_name(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer, default: str, named: str
) -> None:
    port = plain.url.rpartition(":")[2]
    settings = msgspec.structs.replace(QUICK, base_url=f"http://{default}:{port}")
    daemon = new_daemon(settings, env={"CLAWLOG_TOKEN": "the-token-of-this-test"})
    await daemon.start()
    await daemon.call("task.create", title="T", base_url=f"http://{named}:{port}/")
    await daemon.flush()
    assert plain.events[0].headers["Authorization"] == "Bearer the-token-of-this-test"


async def test_the_token_goes_to_no_other_server_of_the_same_host(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    settings = msgspec.structs.replace(QUICK, base_url="http://127.0.0.1:9")
    daemon = new_daemon(settings, env={"CLAWLOG_TOKEN": "the-token-of-this-test"})
    await daemon.start()
    await daemon.call("task.create", title="T", base_url=plain.url)
    await daemon.flush()
    assert all("Authorization" not in each.headers for each in plain.requests)

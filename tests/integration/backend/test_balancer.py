"""nginx before two backends over one database, as it is shipped: what a person or a sidecar asks by way of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from faults.proxy import Cut, CuttingProxy, How
from support import nginx
from support.engines import POSTGRESQL
from support.nginx import SHIPPED, Nginx
from support.running_backend import Api, RunningBackend

pytestmark = [
    pytest.mark.parametrize("database", [POSTGRESQL], indirect=True),
    pytest.mark.skipif(nginx.missing() is not None, reason=str(nginx.missing())),
]

ALL = 10**6
AFTER_IT_EXECUTED = Cut(ALL, 0, How.RESET)
WAIT_S = 15


class Place:
    """Two backends, of which the first may lose its answers on their way, and nginx before them."""

    def __init__(self, backends: list[RunningBackend], first: CuttingProxy, balancer: Nginx, api: Api) -> None:
        self.backends = backends
        self.first = first
        self.balancer = balancer
        self.api = api


@pytest.fixture
def place(
    start_backend: Callable[..., RunningBackend],
    session: aiohttp.ClientSession,
    folder: Path,
) -> Iterator[Place]:
    backends = [start_backend(), start_backend()]
    ports = [int(each.url.rpartition(":")[2]) for each in backends]
    first = CuttingProxy(ports[0])
    with Nginx(SHIPPED[0], [first.port, ports[1]], folder) as balancer:
        assert balancer.check() == (0, "")
        yield Place(backends, first, balancer, Api(session, balancer.url))
    first.close()


async def test_what_is_tried_again_happens_once_and_nothing_is_held_back_or_refused_on_the_way(place: Place) -> None:
    api = place.api
    page = {"Origin": place.balancer.url}  # as a browser says whose page asks
    place.first.order([AFTER_IT_EXECUTED] * 4)
    for n in range(4):  # two of them go to the first, and again to the other
        assert (await api("POST", "/api/tasks", {"title": f"Without a key {n}"}, headers=page))[0] == 201
    assert place.first.cuts >= 1
    place.first.order([])
    assert len((await api("GET", "/api/tasks"))[1]["tasks"]) == 4

    async with asyncio.timeout(WAIT_S), api.session.get(f"{api.url}/api/stream") as stream:
        await stream.content.readuntil(b"event: hello")
        await api.task("t1")
        await stream.content.readuntil(b'"task_id":"t1"')
        first = (await api("POST", "/api/control/poll", {"task_ids": ["t1"]}))[1]["cursor"]
        held = asyncio.create_task(api("POST", "/api/control/poll", {"task_ids": ["t1"], "cursor": first, "wait_s": 55}))
        status, stop = await api("POST", "/api/tasks/t1/interrupt", {"reason": "wrong host"}, headers=page)
        assert status == 201
        assert [each["interrupt_id"] for each in (await held)[1]["controls"]] == [stop["interrupt_id"]]


async def test_one_that_ends_is_not_missed_and_without_any_it_is_said_to_be_for_now(place: Place) -> None:
    api = place.api
    key = {"Idempotency-Key": str(uuid4())}
    await asyncio.to_thread(place.backends[0].stop)
    for _ in range(4):
        assert (await api("POST", "/api/tasks", {"title": "T"}, headers=key))[0] == 201
    assert len((await api("GET", "/api/tasks"))[1]["tasks"]) == 1
    await asyncio.to_thread(place.backends[1].stop)
    for _ in range(3):
        async with api.session.get(f"{api.url}/api/tasks") as response:
            said = (response.status, response.content_type, "Retry-After" in response.headers)
            assert said == (503, "application/problem+json", True)
            assert json.loads(await response.read())["code"] == "unavailable"

"""Several backends over one PostgreSQL database: what each must know of the others; a database that is away, or another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable

import aiohttp
import psycopg
import pytest

import clawlog_backend.live.replica
from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import Event, batch_event
from clawlog_backend.settings import Settings
from clawlog_backend.storage import shared
from clawlog_backend.storage.engines.opening import make_database
from support.engines import POSTGRESQL
from support.postgres_cluster import PostgresCluster
from support.running_backend import Api, RunningBackend

pytestmark = pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)

TOKEN = "correct-horse-battery-staple"
AT = "2026-02-28T09:00:00Z"
WAIT_S = 10


def created(task_id: str) -> Event:
    create = {"event_id": f"e-{task_id}", "task_id": task_id, "kind": "task_created", "title": "T", "at": AT}
    return batch_event.validate_python(create)


def name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def test_failed_log_ins_count_together_and_a_log_out_holds_everywhere(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    one, two = (Api(session, start_backend(token=TOKEN).url) for _ in range(2))
    async with session.post(one.url + "/api/session", json={"token": TOKEN}) as response:
        own = {"Cookie": response.headers["set-cookie"].partition(";")[0]}
    assert [(await each("GET", "/api/tasks", headers=own))[0] for each in (one, two)] == [200, 200]
    assert (await one("DELETE", "/api/session", headers=own))[0] == 204
    async with asyncio.timeout(WAIT_S):
        while (await two("GET", "/api/tasks", headers=own))[0] != 401:  # noqa: ASYNC110 - it is over there that it ends
            await asyncio.sleep(0.02)
    tries = [(await each("POST", "/api/session", {"token": "wrong"}))[0] for _ in range(5) for each in (one, two)]
    assert tries == [401] * 10
    assert [(await each("POST", "/api/session", {"token": TOKEN}))[0] for each in (one, two)] == [429, 429]


async def test_while_the_database_is_away_it_is_not_ready_and_comes_back_by_itself(
    api: Api, database: str, postgres: PostgresCluster
) -> None:
    name = name_of(database)
    assert (await api("GET", "/readyz"))[0] == 200
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", parameters=[name])
    async with api.session.get(api.url + "/readyz") as response:
        assert (response.status, "Retry-After" in response.headers) == (503, True)
    assert (await api("POST", "/api/tasks", {"title": "T"}))[0] == 503
    assert (await api("GET", "/healthz"))[0] == 200
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (await api("GET", "/readyz"))[0] == 200
    assert (await api("POST", "/api/tasks", {"title": "T"}))[0] == 201


async def test_a_database_that_became_another_has_its_readers_begin_anew(
    api: Api, database: str, postgres: PostgresCluster, start_backend: Callable[..., RunningBackend]
) -> None:
    await api.task("t1")
    first = (await api("POST", "/api/control/poll", {"task_ids": ["t1"]}))[1]["cursor"]
    async with api.session.get(api.url + "/api/stream") as stream:
        await stream.content.readuntil(b"event: hello")
        # As after a restore elsewhere: its second half, which says where the database lives, is of another place.
        postgres.execute("UPDATE database_info SET store_id = left(store_id, 16) || repeat('0', 16)", name_of(database))
        other = Api(api.session, start_backend().url)
        cursor = (await other("POST", "/api/control/poll", {"task_ids": ["t1"]}))[1]["cursor"]
        assert cursor.partition("-")[0] != first.partition("-")[0]
        async with asyncio.timeout(WAIT_S):
            await stream.content.readuntil(b"event: reset")
    async with asyncio.timeout(WAIT_S):  # it may have seen an identity between the two
        while (await api("POST", "/api/control/poll", {"task_ids": ["t1"]}))[1]["cursor"] != cursor:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def test_a_hint_of_another_replica_has_its_changes_looked_for_at_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.replica, "_LOOK_EVERY_S", 3_600)
    settings = Settings(database=database)
    async with Backend(settings) as one, Backend(settings) as other, asyncio.timeout(WAIT_S):
        heard = asyncio.Event()
        other.log.follow(lambda _: heard.set())
        for n in itertools.count():  # until it listens
            await one.writer.submit([created(f"t{n}")])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await heard.wait()
                    break
        assert other.log.position.seq > 0


async def test_hints_are_few_however_many_commits_there_are(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hints = []

    async def hint(sender: str) -> None:
        hints.append(sender)

    async with Backend(Settings(database=database)) as backend:
        monkeypatch.setattr(backend.database, "hint", hint)
        began = time.monotonic()
        for n in range(100):
            await backend.writer.submit([created(f"t{n}")])
        took = time.monotonic() - began
        assert 1 <= len(hints) <= 1 + took * 20


async def test_a_database_that_gives_no_hints_is_looked_at_all_the_same(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_arguments: object, **_options: object) -> None:
        raise psycopg.errors.FeatureNotSupported("LISTEN is not supported")

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", refuses)
    settings = Settings(database=database)
    async with Backend(settings) as one, Backend(settings) as other, asyncio.timeout(WAIT_S):
        heard = asyncio.Event()
        other.log.follow(lambda _: heard.set())
        await one.writer.submit([created("t1")])
        await heard.wait()


async def test_a_lease_is_one_replicas_until_it_runs_out(database: str, postgres: PostgresCluster) -> None:
    replicas = make_database(database, pool=2)
    await replicas.open()

    async def take(holder: str) -> bool:
        return await replicas.write(lambda connection: shared.take_lease(connection, "maintenance", holder))

    assert [await take(holder) for holder in ("a", "b", "a")] == [True, False, True]
    postgres.execute("UPDATE leases SET until_ms = until_ms - 15001", name_of(database))
    assert [await take(holder) for holder in ("b", "a")] == [True, False]
    await replicas.close()


async def test_a_reader_that_changes_replicas_resumes_there_and_need_not_reload(database: str) -> None:
    settings = Settings(database=database)
    async with Backend(settings) as one, Backend(settings) as other:
        reader = other.feed.subscribe(None)
        for n in range(5):  # each time, the other has most likely not heard of it yet
            await one.writer.submit([created(f"t{n}")])
            assert b"event: reset" not in await other.feed.catch_up(reader, one.log.position.seq)

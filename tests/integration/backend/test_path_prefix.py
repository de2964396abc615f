"""The backend below a path of another server: a proxy may pass the path on or take it off, and both work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from support.running_backend import Api, RunningBackend

TOKEN = "a-token-of-the-test-0123456789"


@pytest.fixture
def backend(start_backend: Callable[..., RunningBackend]) -> RunningBackend:
    return start_backend(root_path="/tools/clawlog")


@pytest.mark.parametrize("prefix", ["/tools/clawlog", ""])
async def test_pages_assets_and_api_answer_with_the_path_and_without_it(
    backend: RunningBackend, session: aiohttp.ClientSession, api: Api, prefix: str
) -> None:
    await api.task("t1")
    for page in ("/", "/tasks/t1"):
        async with session.get(f"{backend.url}{prefix}{page}") as response:
            text = await response.text()
            assert response.status == 200
            assert 'src="/tools/clawlog/static/main.js"' in text
            assert '"/static/' not in text
    for path, kind in (
        ("/static/main.js", "javascript"),
        ("/static/style/base.css", "css"),
        ("/healthz", ""),
        ("/openapi.json", "json"),
    ):
        async with session.get(f"{backend.url}{prefix}{path}") as response:
            assert response.status == 200, path
            assert kind in response.headers["Content-Type"]
    status, body = await api("GET", f"{prefix}/api/tasks/t1")
    assert (status, body["task_id"]) == (200, "t1")


async def test_the_path_without_its_last_slash_is_the_page_as_well(
    backend: RunningBackend, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{backend.url}/tools/clawlog") as response:
        assert response.status == 200
        assert "/tools/clawlog/static/main.js" in await response.text()


async def test_a_path_that_only_begins_alike_is_not_it(backend: RunningBackend, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{backend.url}/tools/clawlogs/api/tasks") as response:
        assert response.status == 404


async def test_a_log_in_counts_below_the_path(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    url = start_backend(root_path="/tools/clawlog", token=TOKEN).url + "/tools/clawlog"
    async with session.get(f"{url}/api/tasks") as response:
        assert response.status == 401
    for path in ("/", "/static/main.js", "/tasks/t1", "/healthz"):
        async with session.get(url + path) as response:
            assert response.status == 200, path
    async with session.post(f"{url}/api/session", json={"token": TOKEN}) as response:
        assert response.status == 200
        assert response.cookies["clawlog_session"]["path"] == "/tools/clawlog"
    async with session.get(
        f"{url}/api/tasks", cookies={"clawlog_session": response.cookies["clawlog_session"].value}
    ) as response:
        assert response.status == 200


@pytest.mark.parametrize("given", ["clawlog", "/a b", "/a/../b", "//evil.example", "/a?b", '/a"b', "/a%2fb", "/ü"])
def test_what_is_no_path_is_refused(given: str, tmp_path: Any) -> None:
    command = [
        sys.executable,
        "-m",
        "clawlog_backend",
        "--root-path",
        given,
        "--port",
        "0",
        "--database",
        str(tmp_path / "b.db"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 2
    assert "root-path" in ran.stderr
    assert "/clawlog" in ran.stderr, "the error says what is expected"


async def test_the_daemon_delivers_below_a_path(backend: RunningBackend, api: Api, new_daemon: Callable[..., Any]) -> None:
    daemon = new_daemon()
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="below", base_url=f"{backend.url}/tools/clawlog")
    await daemon.flush()
    assert (await api.get("below"))["title"] == "T"

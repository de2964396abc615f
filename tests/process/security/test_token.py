"""The token goes to its backend, and nowhere else: no file, no log, no error, no status, no other server."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer
from support.running_daemon import until

CANARY = "canary-4b1d-token-that-nobody-may-see"


class TalkativeServer:
    """A backend whose answers repeat what it was sent, the token included."""

    def __init__(self, status: int) -> None:
        self.requests = 0
        self._status = status

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        said = f"you sent {dict(request.headers)} and {await request.text()}"
        return web.json_response({"title": "No", "detail": said}, status=self._status)


@pytest.fixture
async def talkative(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Its address."""
    server = TalkativeServer(request.param)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def given(process: DaemonProcess, way: str) -> None:
    """Gives the daemon its token in one of the ways that there are."""
    file = process.folder / "clawlog-token"
    if way != "environment":
        file.write_text(CANARY + "\n")
        file.chmod(0o600)
    process.env |= {
        "environment": {"CLAWLOG_TOKEN": CANARY},
        "file": {"CLAWLOG_TOKEN_FILE": str(file)},
        "credential": {"CREDENTIALS_DIRECTORY": str(process.folder)},
    }[way]


def files_with(folder: Path, secret: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


@pytest.mark.parametrize(
    ("talkative", "way"), [(401, "environment"), (422, "file"), (500, "credential")], indirect=["talkative"]
)
async def test_it_appears_nowhere_though_the_backend_repeats_it(
    new_process: Callable[..., DaemonProcess], talkative: str, way: str
) -> None:
    process = new_process(CLAWLOG_BASE_URL=talkative)
    given(process, way)
    await process.start("--log-level", "debug", "--log-format", "json", "--metrics", "127.0.0.1:0")
    await process.call("task.create", title="T", task_id="t", steps=["one"])

    async def answered() -> bool:
        status = await process.call("daemon.status")
        return bool(status["problems"]) and "you sent" in json.dumps(
            [status, await process.call("deadletter.list"), process.log]
        )

    await until(answered)
    status = await process.call("daemon.status")
    said = [status, await process.call("deadletter.list"), await process.call("task.list"), process.log]
    async with aiohttp.ClientSession() as session, session.get(status["metrics"]) as reply:
        said.append(await reply.text())
    assert CANARY not in json.dumps(said)
    assert "[token]" in json.dumps(said)  # it would have been there
    await process.stop()
    assert files_with(process.state_dir, CANARY.encode()) == []
    assert CANARY not in process.log


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_neither_the_token_nor_the_event_elsewhere(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, status: int
) -> None:
    elsewhere = await PlainServer().start()
    plain.intercept = lambda _: status
    plain.location = f"{elsewhere.url}/api/events"
    process = await new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_TOKEN=CANARY).start()
    await process.call("task.create", title="T")
    await plain.until(lambda: any(each.method == "POST" for each in plain.requests))
    await until(lambda: _last_error(process))
    assert elsewhere.requests == []
    assert {each.headers.get("Authorization") for each in plain.requests} == {f"Bearer {CANARY}"}
    assert "redirects are not followed" in await _last_error(process)
    await elsewhere.stop()


async def _last_error(process: DaemonProcess) -> str:
    return (await process.call("daemon.status"))["backends"][0]["last_error"] or ""


async def test_a_backend_that_a_caller_names_does_not_get_it(
    new_process: Callable[..., DaemonProcess], plain: PlainServer
) -> None:
    process = await new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9", CLAWLOG_TOKEN=CANARY).start()
    await process.call("task.create", title="T", base_url=plain.url)
    await plain.until_events(1)
    assert {each.headers.get("Authorization") for each in plain.requests} == {None}


def want_cores() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def test_a_core_is_not_left_though_the_user_wants_cores(new_process: Callable[..., DaemonProcess], folder: Path) -> None:
    env = {"CLAWLOG_TOKEN": CANARY}
    other = await asyncio.create_subprocess_exec("/bin/sh", "-c", "kill -ABRT $$", cwd=folder, env=env, preexec_fn=want_cores)
    await other.wait()
    cores = files_with(folder, CANARY.encode())
    if not cores:
        pytest.skip("this machine leaves no core in a program's folder")
    for name in cores:
        (folder / name).unlink()
    process = new_process(**env)
    await process.start(cwd=folder, preexec_fn=want_cores)
    process.process.send_signal(signal.SIGABRT)
    async with asyncio.timeout(10):
        assert await process.ended() == -signal.SIGABRT
    assert files_with(folder, CANARY.encode()) == []

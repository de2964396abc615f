"""A backend elsewhere is reached through the environment's proxy; its certificate is proved by an authority of one's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from clawlogd.settings import Http
from support import tls
from support.documents import STANDARD
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tls.Certificates:
    return tls.make(tmp_path_factory.mktemp("certificates"))


class Guarded:
    """A server with a certificate that takes everything.

    Attributes:
        created: How many tasks it was told of.
    """

    def __init__(self, certificates: tls.Certificates, *, wants_client: bool) -> None:
        self.created = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates.server)
        if wants_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(certificates.ca)
        app = web.Application()
        app.add_routes([STANDARD, web.post("/api/tasks", self._create)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def _create(self, request: web.Request) -> web.Response:
        self.created += 1
        return web.json_response({"task_id": (await request.json())["task_id"], "steps": []}, status=201)

    async def start(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def start_guarded(certificates: tls.Certificates) -> AsyncIterator[Callable[..., Any]]:
    started: list[Guarded] = []

    async def start(*, wants_client: bool = False) -> tuple[Guarded, int]:
        started.append(Guarded(certificates, wants_client=wants_client))
        return started[-1], await started[-1].start()

    yield start
    for each in started:
        await each.stop()


async def begin(
    new_daemon: Callable[..., RunningDaemon], url: str, *, env: dict[str, str] | None = None, **http: Any
) -> RunningDaemon:
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=url, http=Http(**http)), env=env)
    await daemon.start()
    await daemon.call("task.create", title="T")
    return daemon


async def last_error(daemon: RunningDaemon) -> str:
    found: list[str] = []

    async def failed() -> bool:
        found[:] = [str(each["last_error"]) for each in (await daemon.call("daemon.status"))["backends"] if each["last_error"]]
        return bool(found)

    await until(failed)
    return found[0]


async def test_an_authority_of_ones_own_is_trusted(
    new_daemon: Callable[..., RunningDaemon], certificates: tls.Certificates, start_guarded: Callable[..., Any]
) -> None:
    server, port = await start_guarded()
    await begin(new_daemon, f"https://localhost:{port}", ca_file=str(certificates.ca))
    await until(lambda: server.created == 1)


async def test_without_it_the_certificates_fault_is_named_with_the_setting(
    new_daemon: Callable[..., RunningDaemon], start_guarded: Callable[..., Any]
) -> None:
    server, port = await start_guarded()
    said = await last_error(await begin(new_daemon, f"https://localhost:{port}"))
    assert server.created == 0
    assert "certificate" in said
    assert "http.ca_file" in said


async def test_a_client_certificate_is_shown(
    new_daemon: Callable[..., RunningDaemon], certificates: tls.Certificates, start_guarded: Callable[..., Any]
) -> None:
    server, port = await start_guarded(wants_client=True)
    await begin(
        new_daemon, f"https://localhost:{port}", ca_file=str(certificates.ca), client_cert_file=str(certificates.client)
    )
    await until(lambda: server.created == 1)


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file"])
@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_that_holds_no_certificate_is_named(
    new_daemon: Callable[..., RunningDaemon], tmp_path: Path, key: str, content: str | None
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    said = await last_error(await begin(new_daemon, "https://localhost:9", **{key: str(path)}))
    assert f"http.{key}" in said
    assert str(path) in said


async def test_a_backend_elsewhere_is_reached_through_the_proxy(
    new_daemon: Callable[..., RunningDaemon], certificates: tls.Certificates, start_guarded: Callable[..., Any]
) -> None:
    server, port = await start_guarded()
    proxy = await tls.Proxy(port).start()
    env = {"HTTPS_PROXY": proxy.url.replace("http://", "http://user:secret@")}
    daemon = await begin(new_daemon, "https://backend.invalid:8443", env=env, ca_file=str(certificates.ca))
    await until(lambda: server.created == 1)
    assert proxy.asked[0].startswith("CONNECT backend.invalid:8443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic" in proxy.asked[0]
    assert "secret" not in str(await daemon.call("daemon.status"))
    await proxy.stop()


async def test_a_plain_http_backend_elsewhere_is_reached_through_its_proxy(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    proxy = await tls.Proxy(int(plain.url.rpartition(":")[2])).start()
    await begin(new_daemon, "http://backend.invalid", env={"http_proxy": proxy.url})
    await plain.until_events(1)
    assert any("http://backend.invalid/" in each for each in proxy.asked)
    await proxy.stop()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_this_machine_is_never_reached_through_a_proxy(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer, host: str
) -> None:
    env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    await begin(new_daemon, plain.url.replace("127.0.0.1", host), env=env)
    await plain.until_events(1)


@pytest.mark.parametrize("excepted", ["backend.invalid", ".invalid", "invalid", "*", "other, backend.invalid:8443"])
async def test_no_proxy_excepts_hosts(new_daemon: Callable[..., RunningDaemon], excepted: str) -> None:
    proxy = await tls.Proxy(9).start()
    env = {"HTTPS_PROXY": proxy.url, "NO_PROXY": excepted}
    daemon = await begin(new_daemon, "https://backend.invalid:8443", env=env)
    assert "cannot connect" in await last_error(daemon)
    assert proxy.asked == []
    await proxy.stop()


async def test_a_proxy_that_refuses_is_named_without_its_password(new_daemon: Callable[..., RunningDaemon]) -> None:
    env = {"HTTPS_PROXY": "http://user:secret@127.0.0.1:9"}
    said = await last_error(await begin(new_daemon, "https://backend.invalid", env=env))
    assert "proxy" in said
    assert "127.0.0.1:9" in said
    assert "secret" not in said

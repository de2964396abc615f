"""Who is let in: hosts, origins, tokens, log-ins."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
import pytest

from support.running_backend import Api, RunningBackend

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def secured(start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession) -> Api:
    return Api(session, start_backend(token=TOKEN).url)


async def test_only_its_own_names_and_addresses_are_answered(api: Api) -> None:
    for host in ("localhost:1", "LOCALHOST", "127.0.0.1", "[::1]:8000", "192.168.7.9:80"):
        assert (await api("GET", "/api/tasks", headers={"Host": host}))[0] == 200, host
    for host in (
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a b", "user@localhost", "localhost:x", "[::1",
    ):  # fmt: skip
        assert (await api("GET", "/api/tasks", headers={"Host": host}))[0] == 403, host


async def test_a_name_that_the_operator_gave_is_answered(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    api = Api(session, start_backend(allowed_hosts=("claw.example",)).url)
    assert (await api("GET", "/api/tasks", headers={"Host": "Claw.Example:8000"}))[0] == 200
    status, problem = await api("GET", "/api/tasks", headers={"Host": "other.example"})
    assert (status, problem["code"]) == (403, "unknown_host")
    assert "--allowed-host other.example" in problem["detail"]


async def test_another_sites_page_changes_nothing(api: Api) -> None:
    own_host = api.url.removeprefix("http://")
    for origin in (
        "http://evil.example", "null", "http://localhost:1", f"ftp://{own_host}", f"http://{own_host}.evil.example", "file://",
        "http://", "x", "http://[::",
    ):  # fmt: skip
        status, problem = await api("POST", "/api/tasks", {"title": "forged"}, headers={"Origin": origin})
        assert (status, problem["code"]) == (403, "foreign_origin"), origin
    assert (await api("GET", "/api/tasks"))[1]["counts"]["all"] == 0


async def test_its_own_page_may_change_things(api: Api) -> None:
    assert (await api("POST", "/api/tasks", {"title": "mine"}, headers={"Origin": api.url}))[0] == 201


async def test_a_token_is_wanted_where_one_is_set(secured: Api) -> None:
    for method, path in (("GET", "/api/tasks"), ("GET", "/api/stream"), ("GET", "/metrics"), ("POST", "/api/events")):
        status, problem = await secured(method, path)
        assert (status, problem["code"]) == (401, "unauthorized"), path
        for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", "Bearer " + TOKEN[:-1], f"Bearer {TOKEN}x", "Bearer é"):
            assert (await secured(method, path, headers={"Authorization": wrong}))[0] == 401, wrong
    assert (await secured("GET", "/api/tasks", headers=BEARER))[0] == 200
    assert (await secured("POST", "/api/tasks", {"title": "T"}, headers={"Authorization": f"bearer  {TOKEN}"}))[0] == 201
    for path in ("/healthz", "/readyz", "/openapi.json", "/api/session"):
        assert (await secured("GET", path))[0] == 200, path
    async with secured.session.get(secured.url + "/api/tasks") as response:
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="clawlog"'


async def test_a_log_in_is_a_cookie_that_scripts_and_other_sites_do_not_get(secured: Api) -> None:
    assert (await secured("GET", "/api/session"))[1] == {"authenticated": False, "required": True, "csrf": None}
    status, problem = await secured("POST", "/api/session", {"token": "wrong"})
    assert (status, problem["code"]) == (401, "wrong_token")
    async with secured.session.post(secured.url + "/api/session", json={"token": TOKEN}) as response:
        view = await response.json()
        cookie = response.headers["set-cookie"]
    assert (response.status, view["authenticated"], view["required"]) == (200, True, True)
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert TOKEN not in cookie

    own = {"Cookie": cookie.partition(";")[0]}
    assert (await secured("GET", "/api/session", headers=own))[1] == view
    assert (await secured("GET", "/api/tasks", headers=own))[0] == 200
    status, problem = await secured("POST", "/api/tasks", {"title": "T"}, headers=own)
    assert (status, problem["code"]) == (403, "csrf")
    assert (await secured("POST", "/api/tasks", {"title": "T"}, headers=own | {"X-CSRF-Token": "wrong"}))[0] == 403
    assert (await secured("POST", "/api/tasks", {"title": "T"}, headers=own | {"X-CSRF-Token": view["csrf"]}))[0] == 201

    forged = {"Cookie": own["Cookie"].replace("=1", "=2")}
    assert (await secured("GET", "/api/tasks", headers=forged))[0] == 401
    assert (await secured("DELETE", "/api/session", headers=own))[0] == 204
    assert (await secured("GET", "/api/tasks", headers=own))[0] == 401
    for broken in ("clawlog_session", "clawlog_session=", "clawlog_session=a.b.c", "clawlog_session=é.b", "a=b; ;;="):
        assert (await secured("GET", "/api/tasks", headers={"Cookie": broken}))[0] in {400, 401}, broken


async def test_a_log_in_outlives_a_restart_but_not_its_end_nor_its_token(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    first = start_backend(token=TOKEN)
    async with session.post(first.url + "/api/session", json={"token": TOKEN}) as response:
        own = {"Cookie": response.headers["set-cookie"].partition(";")[0]}
    first.stop()
    second = start_backend(token=TOKEN)
    assert (await Api(session, second.url)("GET", "/api/tasks", headers=own))[0] == 200
    second.clock.ahead_ms = 8 * 86_400_000
    assert (await Api(session, second.url)("GET", "/api/tasks", headers=own))[0] == 401
    second.stop()
    third = start_backend(token=TOKEN + "-new")
    assert (await Api(session, third.url)("GET", "/api/tasks", headers=own))[0] == 401


async def test_a_token_cannot_be_guessed_by_trying(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    backend = start_backend(token=TOKEN)
    api = Api(session, backend.url)
    for n in range(10):
        assert (await api("POST", "/api/session", {"token": f"guess {n}"}))[0] == 401
    async with session.post(api.url + "/api/session", json={"token": TOKEN}) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 60
    backend.clock.ahead_ms = 61_000
    assert (await api("POST", "/api/session", {"token": TOKEN}))[0] == 200


async def test_without_a_token_everybody_on_this_machine_is_let_in(api: Api) -> None:
    open_to_all = {"authenticated": True, "required": False, "csrf": None}
    assert await api("GET", "/api/session") == (200, open_to_all)
    assert await api("POST", "/api/session", {"token": "anything"}) == (200, open_to_all)
    assert (await api("DELETE", "/api/session"))[0] == 204


async def test_every_answer_tells_browsers_to_be_strict(api: Api) -> None:
    for path in ("/", "/tasks/t1", "/static/main.js", "/api/tasks", "/nowhere", "/healthz"):
        async with api.session.get(api.url + path) as response:
            headers = response.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in headers
    async with api.session.get(api.url + "/api/tasks") as response:
        assert response.headers["Cache-Control"] == "no-store"
    async with api.session.get(api.url + "/api/tasks", headers={"Host": "evil.example"}) as response:
        assert "Content-Security-Policy" in response.headers

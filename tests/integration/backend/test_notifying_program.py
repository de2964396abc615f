"""Notifications of the program itself: killed in between, tried by hand, without what it needs; and what it never shows."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clawlog_backend.main import main
from clawlog_backend.notify.rules import NotifiedEvent, Rule, Rules, Service, Target
from support.backend_process import BackendProcess
from support.receivers import KEY, SECRET, WebhookReceiver
from support.running_backend import Api, RunningBackend

SETTINGS = """
[[notifications.target]]
name = "ops"
webhook = "{url}"
secret_file = "ops.key"

[[notifications.rule]]
name = "trouble"
events = ["failed", "dead"]
to = ["ops"]
gather = "1s"
"""


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def settings(tmp_path: Path, receiver: WebhookReceiver) -> Path:
    file = tmp_path / "backend.toml"
    file.write_text(SETTINGS.format(url=receiver.url), encoding="utf-8")
    (tmp_path / "ops.key").write_text(SECRET, encoding="utf-8")
    return file


@pytest.fixture
def project() -> dict[str, Any]:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["project"]
    return found


def test_killed_after_a_message_was_taken_it_repeats_it_under_the_same_id(
    tmp_path: Path, settings: Path, receiver: WebhookReceiver
) -> None:
    backend = BackendProcess(tmp_path, config=settings)
    killed = []

    def kill_first(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        if not killed:
            killed.append(True)
            backend.kill()  # it was accepted, and that is not recorded
        return 204, {}

    receiver.answer = kill_first
    try:
        backend.start()
        task = backend.create("Nightly backup", "Upload")
        task.step(1, "failed", "no space left")
        receiver.wait_for(1)
        backend.start()
        receiver.wait_for(2)
        command_line = Path(f"/proc/{backend._process.pid}/cmdline").read_bytes()  # type: ignore[union-attr]  # noqa: SLF001 - as `ps` shows it
        shown = backend.call("GET", "/api/notifications")
        assert [(each["name"], each["state"]) for each in shown["targets"]] == [("ops", "ok")]
    finally:
        backend.stop()
    first, again = (name for name, _, _ in receiver.requests)
    assert first == again
    assert receiver.taken[0] == receiver.taken[1]
    said = (tmp_path / "backend.log").read_text() + str(shown) + command_line.decode()
    assert not any(secret in said for secret in ("very-secret-part", SECRET, "/hooks/"))


def test_a_test_message_is_sent_by_hand_without_a_backend(
    settings: Path, receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notify-test", "--config", str(settings)]) == 0
    assert capsys.readouterr().out == "ops: delivered (answered 204)\n"
    receiver.answer = lambda _: (500, {})
    assert main(["notify-test", "trouble", "--config", str(settings)]) == 1
    assert capsys.readouterr().out == "ops: not delivered (answered 500)\n"
    assert [document["type"] for document in receiver.taken] == ["test"]
    receiver.stop()
    assert main(["notify-test", "--config", str(settings)]) == 1
    assert "Connection refused" in capsys.readouterr().out
    assert main(["notify-test", "nosuch", "--config", str(settings)]) == 2
    assert "no rule is named 'nosuch': expected one of trouble" in capsys.readouterr().err
    settings.write_text("", encoding="utf-8")
    assert main(["notify-test", "--config", str(settings)]) == 2
    assert "no target of notifications is set up" in capsys.readouterr().err


def test_a_service_without_its_library_is_refused_at_the_start_with_what_installs_it(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(
        '[[notifications.target]]\nname = "mu"\napprise = "mailto://very-secret-part@x.org"\n', encoding="utf-8"
    )
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert main(["--port", "0", "--config", str(settings)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("clawlog backend: ")
    assert "python -m pip install 'apprise>=1.9'" in said
    assert "very-secret-part" not in said


def test_it_is_an_extra_of_which_a_backend_loads_nothing_that_it_does_not_need(project: dict[str, Any], settings: Path) -> None:
    assert project["optional-dependencies"]["notify"] == ["apprise>=1.9"]
    assert not any(each.startswith("apprise") for each in project["dependencies"])
    load = (
        "import sys, clawlog_backend.http.server, clawlog_backend.main as main\n"
        "for arguments in [], sys.argv[1:]:\n"
        "    main._rules(main.build_notify_parser().parse_args(arguments))\n"
        "    print(*sys.modules)"
    )
    env = {"PATH": "/usr/bin", "HOME": str(settings.parent)}
    command = [sys.executable, "-c", load, "--config", str(settings)]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    without, with_webhook = (set(line.split()) for line in ran.stdout.splitlines())
    assert not {"apprise", "requests", "requests_oauthlib", "markdown", "yaml", "smtplib"} & with_webhook
    assert {"tomllib", "clawlog_backend.notify.configuration"} <= with_webhook - without


async def test_the_api_shows_names_and_sends_a_test_and_never_a_secret(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, receiver: WebhookReceiver
) -> None:
    ops = Target("ops", Service.WEBHOOK, receiver.url, (KEY,))
    rule = Rule(name="trouble", events=frozenset({NotifiedEvent.FAILED, NotifiedEvent.NEEDS_YOU}), targets=("ops",))
    api = Api(session, start_backend(rules=Rules(None, {"ops": ops}, {"trouble": rule})).url)
    shown = (await api("GET", "/api/notifications"))[1]
    assert shown == {
        "targets": [{"name": "ops", "service": "webhook", "state": "ok", "detail": None, "waiting": 0}],
        "rules": [{"name": "trouble", "events": ["needs_you", "failed"], "to": ["ops"]}],
    }
    sent = await api("POST", "/api/notifications/test", {"rule": "trouble"})
    assert sent == (200, {"results": [{"target": "ops", "delivered": True, "detail": "answered 204"}]})
    receiver.stop()
    status, refused = await api("POST", "/api/notifications/test", {})
    assert (status, refused["results"][0]["delivered"]) == (200, False)
    metrics = (await api("GET", "/metrics"))[1].decode()
    assert "clawlog_backend_notifications_waiting 0.0" in metrics
    assert not any(secret in f"{shown}{refused}{metrics}" for secret in ("very-secret-part", "/hooks/"))
    status, problem = await api("POST", "/api/notifications/test", {"rule": "nosuch"})
    assert (status, problem["code"]) == (404, "unknown_rule")


async def test_without_targets_there_is_nothing_to_test(api: Api) -> None:
    assert (await api("GET", "/api/notifications"))[1] == {"targets": [], "rules": []}
    status, problem = await api("POST", "/api/notifications/test", {})
    assert (status, problem["code"]) == (409, "no_targets")

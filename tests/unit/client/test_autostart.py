"""Starting the daemon, with small programs in its place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawlog import autostart
from clawlog.async_client import AsyncClient
from clawlog.client import Client
from clawlog.connection.address import parse
from clawlog.errors import DaemonUnreachable

TESTS = Path(__file__).parents[2]

SERVE = f"""#!{sys.executable}
import json, os, signal, sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent / "client")!r}]
from support.scripted_daemon import on_unix_socket, on_zeromq
state = os.environ["CLAWLOG_STATE_DIR"]
with open(f"{{state}}/started", "a") as log:
    facts = {{"pid": os.getpid(), "sid": os.getsid(0), "cwd": os.getcwd(), "arguments": sys.argv[1:]}}
    facts["socket"] = os.environ.get("CLAWLOG_SOCKET")
    log.write(json.dumps(facts) + "\\n")
print("hello from the daemon", flush=True)
serving = on_zeromq(sys.argv[2]) if sys.argv[1:] else on_unix_socket(os.environ["CLAWLOG_SOCKET"])
with serving:
    signal.sigwait([signal.SIGTERM])
"""


@pytest.fixture
def state(short_dir: Path) -> Path:
    return short_dir / "state"


@pytest.fixture
def env(env: dict[str, str], short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which a daemon is found on PATH only, and may be started."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    monkeypatch.setattr(autostart, "__file__", "/nonexistent/client/clawlog/autostart.py")
    (short_dir / "bin").mkdir()
    return env | {"CLAWLOG_AUTOSTART": "1", "PATH": f"{short_dir}/bin:{os.environ['PATH']}"}


def install(short_dir: Path, text: str) -> None:
    program = short_dir / "bin" / "clawlogd"
    program.write_text(text)
    program.chmod(0o755)


@pytest.fixture
def started(state: Path) -> Iterator[list[dict[str, object]]]:
    """What the started daemons tell of themselves; ends them."""
    facts: list[dict[str, object]] = []
    yield facts
    for fact in read_started(state):
        os.kill(int(str(fact["pid"])), signal.SIGTERM)


def read_started(state: Path) -> list[dict[str, object]]:
    log = state / "started"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_daemon_is_started_detached_and_answers(
    short_dir: Path, state: Path, env: dict[str, str], started: list[dict[str, object]]
) -> None:
    install(short_dir, SERVE)
    (state / "run").mkdir(parents=True)
    with Client(env=env) as client:
        assert client.daemon_status()["protocol"] == 1
    (fact,) = read_started(state)
    assert fact["pid"] == fact["sid"], "a session of its own: the terminal's hang-up does not reach it"
    assert fact["cwd"] == "/"
    assert fact["socket"] == str(state / "run" / "clawlogd.sock")
    log = state / "clawlogd.log"
    assert log.read_text() == "hello from the daemon\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_the_asyncio_client_starts_it_as_well(
    short_dir: Path, state: Path, env: dict[str, str], started: list[dict[str, object]]
) -> None:
    install(short_dir, SERVE)
    (state / "run").mkdir(parents=True)
    async with AsyncClient(env=env) as client:
        statuses = await asyncio.gather(*(client.daemon_status() for _ in range(5)))
    assert len(statuses) == 5
    assert len(read_started(state)) == 1


def test_for_a_zeromq_address_the_endpoint_is_passed(
    short_dir: Path, state: Path, env: dict[str, str], started: list[dict[str, object]]
) -> None:
    install(short_dir, SERVE)
    with Client(f"zmq:ipc://{short_dir}/z", env=env) as client:
        client.daemon_status()
    (fact,) = read_started(state)
    assert fact["arguments"] == ["--zmq", f"ipc://{short_dir}/z"]
    assert fact["socket"] is None


def test_of_many_callers_at_once_one_starts_it(
    short_dir: Path, state: Path, env: dict[str, str], started: list[dict[str, object]]
) -> None:
    install(short_dir, SERVE)
    (state / "run").mkdir(parents=True)
    answers: list[object] = []

    def call() -> None:
        with Client(env=env) as client:
            answers.append(client.daemon_status()["protocol"])

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 12
    assert len(read_started(state)) == 1


def test_a_dead_daemons_socket_does_not_hold_up_the_start(
    short_dir: Path, state: Path, env: dict[str, str], started: list[dict[str, object]]
) -> None:
    import socket

    (state / "run").mkdir(parents=True)
    path = state / "run" / "clawlogd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    install(
        short_dir,
        SERVE.replace(
            "serving = ", "os.path.exists(os.environ['CLAWLOG_SOCKET']) and os.unlink(os.environ['CLAWLOG_SOCKET']); serving = "
        ),
    )
    with Client(env=env) as client:
        assert client.daemon_status()["protocol"] == 1


def test_a_daemon_that_ends_at_once_is_noticed_at_once(short_dir: Path, state: Path, env: dict[str, str]) -> None:
    install(short_dir, "#!/bin/sh\necho 'clawlog.toml: unknown key' >&2\nexit 78\n")
    began = time.monotonic()
    with (
        Client(env=env) as client,
        pytest.raises(DaemonUnreachable, match=r"ended at once with status 78; see .*clawlogd\.log"),
    ):
        client.daemon_status()
    assert time.monotonic() - began < 2
    assert "unknown key" in (state / "clawlogd.log").read_text()


def test_a_failed_start_is_not_tried_at_every_call(short_dir: Path, state: Path, env: dict[str, str]) -> None:
    install(short_dir, f"#!/bin/sh\necho x >> {short_dir}/tries\nexit 78\n")
    with Client(env=env) as client:
        for _ in range(3):
            with pytest.raises(DaemonUnreachable, match="status 78"):
                client.daemon_status()
    assert (short_dir / "tries").read_text() == "x\n"


def test_one_that_gives_way_to_another_is_waited_for(
    short_dir: Path, state: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autostart, "_GRACE_S", 0.1)
    install(short_dir, "#!/bin/sh\nexit 69\n")
    with Client(env=env) as client, pytest.raises(DaemonUnreachable, match="does not answer"):
        client.daemon_status()


def test_one_that_never_listens_is_given_up(short_dir: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autostart, "_PATIENCE_S", 0.2)
    install(short_dir, "#!/bin/sh\nexec sleep 3\n")
    with Client(env=env) as client, pytest.raises(DaemonUnreachable, match="does not answer"):
        client.daemon_status()


def test_what_is_not_installed_is_told_with_how_to_install_it(env: dict[str, str]) -> None:
    with Client(env=env | {"PATH": "/nonexistent"}) as client, pytest.raises(DaemonUnreachable, match="pipx install"):
        client.daemon_status()


def test_what_cannot_be_run_is_told(short_dir: Path, env: dict[str, str]) -> None:
    install(short_dir, "#!/nonexistent/interpreter\n")
    with Client(env=env) as client, pytest.raises(DaemonUnreachable, match="cannot be run"):
        client.daemon_status()


def test_a_state_folder_that_cannot_be_made_is_told(short_dir: Path, env: dict[str, str]) -> None:
    (short_dir / "file").touch()
    with Client(env=env | {"CLAWLOG_STATE_DIR": f"{short_dir}/file/state"}) as client, pytest.raises(DaemonUnreachable):
        client.daemon_status()


@pytest.mark.parametrize("forbidden", [{"CLAWLOG_AUTOSTART": "0"}, {}])
def test_nothing_is_started_where_it_is_not_wanted(
    short_dir: Path, state: Path, env: dict[str, str], forbidden: dict[str, str]
) -> None:
    install(short_dir, SERVE)
    client = Client(env=env | forbidden, autostart=None if forbidden else False)
    with client, pytest.raises(DaemonUnreachable, match="start it with"):
        client.daemon_status()
    assert read_started(state) == []


def test_a_daemon_on_another_machine_is_never_started(env: dict[str, str]) -> None:
    with pytest.raises(DaemonUnreachable, match="start it with"):
        autostart.Starter(parse("zmq:tcp://example.test:1"), env, allowed=True).launch()


def test_the_program_is_looked_for_beside_python_then_in_the_checkout_then_on_path_then_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [
        tmp_path / "python" / "bin",
        tmp_path / "checkout" / ".venv" / "bin",
        tmp_path / "path",
        tmp_path / ".local" / "bin",
    ]
    for place in places:
        place.mkdir(parents=True)
        (place / "clawlogd").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(places[0] / "python3"))
    monkeypatch.setattr(autostart, "__file__", str(tmp_path / "checkout" / "client" / "clawlog" / "autostart.py"))
    env = {"PATH": str(places[2]), "HOME": str(tmp_path)}
    found = []
    while (program := autostart.find_program(env)) is not None:
        found.append(Path(program).parent)
        Path(program).unlink()
    assert found == places

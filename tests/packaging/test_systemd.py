"""The units under a real systemd: starts, calls that start the daemon, reloads, kills, hangs, an upgrade, a stop in order.

The units are those that are shipped, and the program is the wheel's, where the units look for it.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.systemd_box import INSTALLED, SystemdBox, install_wheel
from support.systemd_service import UID, Service

pytestmark = [pytest.mark.systemd, pytest.mark.xdist_group("systemd")]

ROOT = Path(__file__).resolve().parents[2]
RUNNING = ROOT / "docs" / "running-as-a-service.md"

of_the_system = pytest.mark.parametrize("service", ["system"], indirect=True)
"""For what does not differ between the units, or is the system's alone."""


@pytest.fixture(scope="module", params=["system", "user"])
def service(request: pytest.FixtureRequest, installed: SystemdBox) -> Service:
    return Service(installed, request.param)


@pytest.fixture(scope="module")
def backend_token(installed: SystemdBox) -> str:
    """A backend on the box's own loopback that wants a token: this one."""
    token = secrets.token_urlsafe(24)
    command = [f"{INSTALLED}/bin/python", "-m", "clawlog_backend", "--database", "/var/tmp/backend.db", "--port", "8000"]
    installed.run("systemd-run", "--quiet", "--unit=backend", f"--setenv=CLAWLOG_TOKEN={token}", *command)
    listening = ["ss", "--no-header", "--listening", "--tcp", "sport = :8000"]
    installed.wait_until("the backend listens", lambda: installed.run(*listening).strip())
    return token


@pytest.fixture(autouse=True)
def listening(service: Service) -> Iterator[None]:
    """Each test begins with the socket open and the daemon not running."""
    service.systemctl("start", "clawlogd.socket")
    yield
    service.systemctl("stop", "clawlogd.socket", "clawlogd.service")
    service.systemctl("reset-failed")


def test_a_start_is_over_when_the_daemon_says_that_it_is_ready(service: Service) -> None:
    service.systemctl("start", "clawlogd.service")
    assert (service.show("ActiveState"), service.show("Type")) == ("active", "notify")
    service.box.wait_until("a status line", lambda: service.show("StatusText"))
    assert service.ask("daemon.status")["pid"] == service.pid()


def test_the_first_call_starts_the_daemon(service: Service) -> None:
    assert service.show("ActiveState") == "inactive"
    assert service.create("部署 Nginx 服务")["title"] == "部署 Nginx 服务"
    assert service.show("ActiveState") == "active"
    assert service.ask("daemon.status")["pid"] == service.pid()


def test_socket_and_state_are_closed_to_others(service: Service) -> None:
    service.create("a task")
    modes = service.box.run(
        "stat", "--dereference", "--format=%a", service.socket, str(Path(service.socket).parent), service.state
    )
    assert modes.split() == ["600", "700", "700"]
    assert service.box.run("find", f"{service.state}/", "-perm", "/077") == ""


def test_the_daemon_has_no_capability_and_may_gain_none(service: Service) -> None:
    service.systemctl("start", "clawlogd.service")
    status = dict(
        line.split(":\t", 1) for line in service.box.run("cat", f"/proc/{service.pid()}/status").splitlines() if ":\t" in line
    )
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0000000000000000"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split()[0] != "0"


def test_a_task_outlives_a_restart_and_a_stop(service: Service) -> None:
    task_id = service.create("a task")["task_id"]
    first = service.pid()
    service.systemctl("restart", "clawlogd.service")
    assert service.pid() != first
    service.call("update_status.py", "--task-id", task_id, "--step-id", "1", "--step-status", "running")
    service.systemctl("stop", "clawlogd.service")
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success")
    service.call("update_status.py", "--task-id", task_id, "--step-id", "1", "--step-status", "done")


def test_a_reload_takes_new_settings_keeps_the_process_and_survives_a_bad_file(service: Service) -> None:
    service.configure("[summary]\nmax_chars = 60\n")
    task_id = service.create("a task")["task_id"]
    pid = service.pid()

    def cut() -> bool:
        return "summary_truncated" in service.ask("task.update", task_id=task_id, status="running", summary="x" * 50)

    assert not cut()
    service.configure("[summary]\nmax_chars = 40\n")
    service.systemctl("reload", "clawlogd.service")
    service.box.wait_until("the reload is over", lambda: service.show("ActiveState") == "active")
    assert cut()
    service.configure("[summary]\nmax_chars = 7\n")
    service.systemctl("reload", "clawlogd.service")
    complaint = "the settings could not be read again"
    service.box.wait_until("a complaint in the status line", lambda: complaint in service.show("StatusText"))
    assert cut()
    assert service.ask("daemon.status")["faults"] == []  # nor is the socket missed, whose folder is closed to the daemon
    assert (service.pid(), service.show("NRestarts")) == (pid, "0")
    errors = service.box.run("journalctl", "--no-pager", "--priority=err", "--output=cat", f"_PID={pid}").splitlines()
    assert len(errors) == 1  # the journal has the level from the line's beginning
    assert errors[0].startswith("reload_failed ")
    service.configure("")


def test_events_and_the_entrusted_token_reach_a_backend_on_this_machine(service: Service, backend_token: str) -> None:
    service.entrust(backend_token)
    task_id = service.create("部署 Nginx 服务")["task_id"]
    service.call("update_status.py", "--task-id", task_id, "--step-id", "1", "--step-status", "done", "--wait", "20")
    ask = ["curl", "--silent", "--fail", "--header", f"Authorization: Bearer {backend_token}"]
    task = json.loads(service.box.run(*ask, f"http://localhost:8000/api/tasks/{task_id}"))
    assert (task["title"], task["steps"][0]["status"]) == ("部署 Nginx 服务", "done")
    for place in (f"/proc/{service.pid()}/environ", f"/proc/{service.pid()}/cmdline"):
        assert backend_token not in service.box.run("cat", place)
    assert backend_token not in service.box.run("journalctl", "--no-pager", "--output=export")


def test_a_watched_process_is_seen_from_inside_the_sandbox_alive_and_gone(service: Service) -> None:
    service.box.run(
        "systemd-run", "--quiet", "--unit=watched", f"--uid={0 if service.scope == 'system' else UID}", "sleep", "600"
    )
    pid = service.box.run("systemctl", "show", "--property=MainPID", "--value", "watched.service").strip()
    task_id = service.create("a task", "--watch-pid", pid)["task_id"]
    service.systemctl("restart", "clawlogd.service")  # after which the process is looked up anew
    liveness = service.ask("task.get", task_id=task_id)["liveness"]
    assert (liveness["state"], liveness["evidence"]) == ("alive", "process")
    service.box.run("systemctl", "stop", "watched.service")
    service.box.wait_until("it is lost", lambda: service.ask("task.get", task_id=task_id)["liveness"]["state"] == "lost")


KILLS = """
import json, os, signal, socket, sys

def ask(method, **params):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(sys.argv[1])
        s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\\n")
        return json.loads(s.makefile().readline())["result"]

pids = [ask("daemon.status")["pid"]]
for kills in range(1, 26):
    os.kill(pids[-1], signal.SIGKILL)
    ask("step.update", task_id=sys.argv[2], step=1, status="running", summary=str(kills))
    pids.append(ask("daemon.status")["pid"])
print(json.dumps(pids))
"""


@of_the_system
def test_25_kills_in_a_row_leave_the_socket_answering_and_lose_nothing(service: Service) -> None:
    service.drop_in("restart", "[Service]\nRestartSec=10ms\n")  # less time between two: harder, and quicker
    task_id = service.create("a task")["task_id"]
    pids = json.loads(service.box.run("python3", "-c", KILLS, service.socket, task_id))
    assert len(set(pids)) == 26
    service.remove_drop_in("restart")
    assert service.show("ActiveState", "clawlogd.socket") == "active"
    assert service.ask("task.get", task_id=task_id)["steps"][0]["summary"] == "25"
    assert service.ask("daemon.status")["outbox"]["lost"] == 0


HANGS_WHEN_TOLD = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600)); import clawlogd.main; {main}"


@pytest.mark.parametrize("signal", ["STOP", "USR1"], ids=["a stopped process", "a blocked event loop"])
@of_the_system
def test_what_hangs_is_replaced_by_the_watchdog(service: Service, signal: str) -> None:
    program = HANGS_WHEN_TOLD.format(main="clawlogd.main.main(['--state-dir', '/var/lib/private/clawlog'])")
    start = f'ExecStart=\nExecStart={INSTALLED}/bin/python -c "{program}"'
    service.drop_in("watchdog", f"[Service]\nWatchdogSec=1s\nRestartSec=10ms\n{start}\n")
    service.systemctl("start", "clawlogd.service")
    pid = service.pid()
    service.box.run("kill", f"-{signal}", str(pid))
    service.box.wait_until("another process", lambda: service.pid() not in {0, pid} and service.show("SubState") == "running")
    service.remove_drop_in("watchdog")
    assert service.show("NRestarts") == "1"
    assert service.ask("daemon.status")["pid"] == service.pid()


@of_the_system
def test_an_idle_daemon_ends_and_comes_back_with_the_next_call(service: Service, backend_token: str) -> None:
    service.entrust(backend_token)  # one with undelivered events is not idle
    start = f"{INSTALLED}/bin/clawlogd --state-dir /var/lib/private/clawlog --idle-exit 0.1"
    service.drop_in("idle", f"[Service]\nExecStart=\nExecStart={start}\n")
    pid = service.ask("daemon.status")["pid"]
    for task in service.ask("task.list", active=True)["tasks"]:  # nor is one with tasks: those of the tests before
        service.ask("task.update", task_id=task["task_id"], status="done")
    service.box.wait_until("it has ended", lambda: service.show("ActiveState") == "inactive")
    assert (service.show("Result"), service.show("ActiveState", "clawlogd.socket")) == ("success", "active")
    assert service.ask("daemon.status")["pid"] != pid
    service.remove_drop_in("idle")


@of_the_system
def test_the_state_outlives_the_user_that_the_service_ran_as(service: Service) -> None:
    def owner() -> str:
        return service.box.run("stat", "--format=%u", "/var/lib/private/clawlog/outbox.db").strip()

    task_id = service.create("a task")["task_id"]
    first = owner()
    assert 61184 <= int(first) <= 65519  # systemd's range for users that exist only while their service runs
    service.systemctl("stop", "clawlogd.service")
    # Another service gets the user's number, which systemd would rather give to the folder's last owner.
    taken = ["--property=DynamicUser=yes", "--property=StateDirectory=clawlog", "sleep", "600"]
    service.box.run("systemd-run", "--quiet", "--unit=squatter", *taken)
    assert service.ask("task.get", task_id=task_id)["title"] == "a task"
    assert owner() != first
    service.box.run("systemctl", "stop", "squatter.service")


@of_the_system
def test_a_group_is_let_in_as_the_documents_say_and_nobody_else(service: Service) -> None:
    service.box.run("groupadd", "clawlog")
    service.box.run("useradd", "--groups", "clawlog", "member")
    service.box.run("useradd", "stranger")
    recipe = RUNNING.read_text(encoding="utf-8").partition("### Who may call\n")[2]
    sockets, services, settings, commands, *_ = re.findall(r"^```\w+\n(.*?)^```$", recipe, re.DOTALL | re.MULTILINE)
    assert (service.hears("member"), service.hears("stranger")) == ("", "")
    service.drop_in("group", sockets, "clawlogd.socket")
    service.drop_in("group", services)
    service.configure(settings)
    service.box.run("sh", "-euc", commands)
    assert json.loads(service.hears("member"))["result"]["pid"] == service.pid()
    assert service.hears("stranger") == ""
    service.box.run("chmod", "666", service.socket)  # if the file system let it in, the daemon would not
    assert service.hears("stranger") == ""
    assert json.loads(service.hears("root"))["result"]["pid"] == service.pid()
    service.remove_drop_in("group", "clawlogd.socket")
    service.remove_drop_in("group")
    service.configure("")
    service.systemctl("stop", "clawlogd.socket", "clawlogd.service")
    service.box.run("rmdir", str(Path(service.socket).parent))


@pytest.fixture(scope="module")
def next_version(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of a later version, built from the sources that are published."""
    (sources,) = built.glob("*.tar.gz")
    shutil.unpack_archive(sources, unpacked := tmp_path_factory.mktemp("next"), filter="data")
    (folder,) = unpacked.iterdir()
    described = (folder / "pyproject.toml").read_text(encoding="utf-8")
    text, count = re.subn(r'(?m)^version = ".*"$', 'version = "99.0"', described)
    assert count == 1
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return folder / "dist"


@of_the_system
def test_a_stop_in_an_outage_ends_in_time_and_an_upgrade_takes_the_full_outbox_over(
    service: Service, next_version: Path
) -> None:
    url = "http://localhost:8009"
    task_id = service.create("an upgrade", "--base-url", url)["task_id"]
    bound = service.ask("daemon.status")["outbox"]["pending"] + 29
    service.configure(f"[outbox]\nmax_events = {bound}\n")
    service.systemctl("reload", "clawlogd.service")
    for number in range(29):
        service.ask("step.update", task_id=task_id, step=1, status="running", summary=f"{number}")
    spooled = service.call("update_status.py", "--task-id", task_id, "--task-status", "done")
    assert json.loads(spooled)["task"]["spooled"]  # what cannot be taken now is kept
    began = time.monotonic()
    service.systemctl("stop", "clawlogd.service")
    assert time.monotonic() - began < 10
    assert service.show("Result") == "success"

    install_wheel(service.box, next_version)
    status = service.ask("daemon.status")  # the call starts the new version
    assert (status["version"], status["outbox"]["pending"]) == ("99.0", bound)
    database = ["--database", "/var/tmp/upgrade.db", "--port", "8009"]
    service.box.run("systemd-run", "--quiet", "--unit=upgraded", f"{INSTALLED}/bin/python", "-m", "clawlog_backend", *database)
    service.box.wait_until("all is delivered", lambda: service.ask("daemon.flush", task_id=task_id, timeout_s=5)["flushed"])
    events = json.loads(service.box.run("curl", "--silent", "--fail", f"{url}/api/tasks/{task_id}/events"))
    service.box.run("systemctl", "stop", "upgraded.service")
    summaries = [each["summary"] for each in events["events"] if each["kind"] == "step_status"]
    assert summaries == [str(number) for number in range(29)]
    service.configure("")


def test_stopping_the_socket_takes_its_file_away(service: Service) -> None:
    service.systemctl("stop", "clawlogd.socket", "clawlogd.service")
    assert service.box.run("ls", "-A", str(Path(service.socket).parent)) == ""

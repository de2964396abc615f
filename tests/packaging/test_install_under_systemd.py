"""What a new user does on a clean machine: install, look at what would be written, write it, and ask whether all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.systemd_box import INSTALLED, SystemdBox

pytestmark = [pytest.mark.systemd, pytest.mark.xdist_group("systemd")]

UID = 4243
USER = "newcomer"
HOME = f"/home/{USER}"
UNITS = (f"{HOME}/.config/systemd/user/clawlogd.service", f"{HOME}/.config/systemd/user/clawlogd.socket")


class Newcomer:
    """A user who has just run ``pipx install``, and the machine."""

    def __init__(self, box: SystemdBox) -> None:
        self.box = box
        box.run("useradd", "--create-home", "--uid", str(UID), USER)
        box.run("systemctl", "start", f"user@{UID}.service")
        self.run("mkdir", "-p", f"{HOME}/.local/bin")
        for program in ("clawlog", "clawlogd"):
            self.run("ln", "-s", f"{INSTALLED}/bin/{program}", f"{HOME}/.local/bin/{program}")

    def run(self, *command: str, status: int = 0) -> str:
        who = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"]
        path = f"PATH={HOME}/.local/bin:/usr/bin:/bin"
        env = ["env", f"HOME={HOME}", f"XDG_RUNTIME_DIR=/run/user/{UID}", path, "CLAWLOG_AUTOSTART=0"]
        return self.box.run(*who, *env, *command, status=status)

    def files(self) -> set[str]:
        return set(self.run("find", HOME, "-type", "f").splitlines())

    def found(self, status: int) -> dict[str, tuple[str, str]]:
        """What ``clawlog doctor`` finds: by check, its verdict and words."""
        told = json.loads(self.run("clawlog", "doctor", "--json", status=status))
        return {each["check"]: (each["verdict"], each["found"]) for each in told["findings"]}


@pytest.fixture
def newcomer(installed: SystemdBox) -> Iterator[Newcomer]:
    yield Newcomer(installed)
    installed.run("systemctl", "stop", f"user@{UID}.service", status=None)
    installed.run("userdel", "--remove", "--force", USER, status=None)
    installed.run("systemctl", "stop", "backend.service", status=None)


def start_backend(box: SystemdBox, unit: str = "backend") -> None:
    box.run("systemd-run", "--quiet", f"--unit={unit}", f"{INSTALLED}/bin/clawlog", "backend", "--database", "/var/tmp/b.db")
    listening = ["ss", "--no-header", "--listening", "--tcp", "sport = :8000"]
    box.wait_until("the backend listens", lambda: box.run(*listening).strip())


def test_install_for_oneself_see_all_well_break_it_and_take_it_away(newcomer: Newcomer) -> None:
    install_for_oneself(newcomer)
    nothing_is_wrong(newcomer)
    for break_it in (a_key_of_an_older_version, a_backend_that_is_away, a_socket_that_systemd_does_not_hold):
        check, said = break_it(newcomer)
        verdict, found = newcomer.found(1)[check]
        assert verdict == "fault"
        assert said in found
    uninstall(newcomer)


def install_for_oneself(newcomer: Newcomer) -> None:
    before = newcomer.files()
    shown = newcomer.run("clawlog", "install", "systemd", "--user", "--dry-run")
    assert newcomer.files() == before
    assert all(f"write   {unit}  (" in shown for unit in UNITS)

    done = newcomer.run("clawlog", "install", "systemd", "--user")
    assert done == shown
    assert newcomer.files() - before == {*UNITS, f"{HOME}/.local/state/clawlog/installed.json"}
    assert newcomer.run("systemctl", "--user", "is-enabled", "clawlogd.socket").strip() == "enabled"
    assert newcomer.run("systemctl", "--user", "is-active", "clawlogd.socket").strip() == "active"


def nothing_is_wrong(newcomer: Newcomer) -> None:
    start_backend(newcomer.box)
    newcomer.run("clawlog", "run", "--title", "第一次", "--", "true")
    newcomer.run("clawlog", "flush")
    (task,) = json.loads(newcomer.run("clawlog", "tasks", "--json"))["tasks"]
    assert (task["title"], task["status"], task["delivered"]) == ("第一次", "done", True)
    said = newcomer.run("clawlog", "doctor")
    assert said.endswith("\nnothing is wrong\n"), said
    assert "! " not in said
    assert "● daemon ok " in newcomer.run("clawlog", "status")
    pid = json.loads(newcomer.run("clawlog", "status", "--json"))["pid"]
    assert newcomer.run("systemctl", "--user", "show", "--property=MainPID", "--value", "clawlogd").strip() == str(pid)


def a_key_of_an_older_version(newcomer: Newcomer) -> tuple[str, str]:
    newcomer.run("sh", "-c", "mkdir -p ~/.config/clawlog && echo 'beat_s = 3' > ~/.config/clawlog/clawlog.toml")
    return "settings", "beat_s: no such key"


def a_backend_that_is_away(newcomer: Newcomer) -> tuple[str, str]:
    newcomer.box.run("systemctl", "stop", "backend.service")
    return "backend", "does not answer"


def a_socket_that_systemd_does_not_hold(newcomer: Newcomer) -> tuple[str, str]:
    newcomer.run("systemctl", "--user", "stop", "clawlogd.socket", "clawlogd.service")
    return "daemon", "no daemon at"


def uninstall(newcomer: Newcomer) -> None:
    newcomer.run("clawlog", "uninstall", "systemd")
    left = newcomer.files()
    assert not any("systemd" in path for path in left)
    assert f"{HOME}/.local/state/clawlog/outbox.db" in left
    with pytest.raises(AssertionError, match="ended with"):
        newcomer.run("systemctl", "--user", "is-active", "clawlogd.socket")


def test_install_for_the_whole_machine_and_the_doctor_finds_nothing_wrong(installed: SystemdBox) -> None:
    for program in ("clawlog", "clawlogd"):
        installed.run("ln", "-s", f"{INSTALLED}/bin/{program}", f"/usr/local/bin/{program}")
    installed.run("clawlog", "install", "systemd", "--system")
    start_backend(installed, "second-backend")
    installed.run("clawlog", "run", "--", "true")
    installed.run("clawlog", "flush")
    said = installed.run("clawlog", "doctor")
    assert said.endswith("\nnothing is wrong\n"), said
    assert "! " not in said
    status = json.loads(installed.run("clawlog", "status", "--json"))
    assert (status["healthy"], status["findings"]) == (True, [])
    assert (status["socket"], status["state_dir"]) == ("/run/clawlog/clawlogd.sock", "/var/lib/private/clawlog")
    installed.run("clawlog", "uninstall", "systemd", "--system")
    assert installed.run("find", "/etc/systemd/system", "-name", "clawlogd*") == ""

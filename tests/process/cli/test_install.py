"""``clawlog install`` and ``uninstall``: what is shown is what is written, and what was written is undone, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawlog.cli.commands.install import sources
from process.cli.conftest import Clawlog
from support.installation import Installation, wait_until

ROOT = Path(__file__).resolve().parents[3]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder but for the record of what was installed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "installed.json"
    }


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ── systemd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def systemctl(fresh: Installation) -> Path:
    """What stands in for ``systemctl`` here: it writes down how it was called. (The units meet the real one elsewhere.)"""
    folder = fresh.folder / "bin"
    folder.mkdir()
    program, calls = folder / "systemctl", fresh.folder / "systemctl.calls"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    program.chmod(0o755)
    fresh.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    fresh.env["XDG_CONFIG_HOME"] = str(fresh.folder / "config")
    return calls


def test_units_are_written_and_the_socket_is_enabled_and_all_is_undone(
    fresh: Installation, systemctl: Path, clawlog: Clawlog
) -> None:
    before = tree(fresh.folder)
    shown = clawlog(fresh, "install", "systemd", "--dry-run")
    assert (shown.status, shown.stderr) == (0, "clawlog: nothing was done\n")
    assert tree(fresh.folder) == before
    done = clawlog(fresh, "install", "systemd", "--user")
    assert (done.status, done.stdout) == (0, shown.stdout)
    units = fresh.folder / "config" / "systemd" / "user"
    for name in ("clawlogd.service", "clawlogd.socket"):
        assert (units / name).read_bytes() == (ROOT / "systemd" / "user" / name).read_bytes()
    assert systemctl.read_text().splitlines() == ["--user daemon-reload", "--user enable --now clawlogd.socket"]
    systemctl.unlink()
    assert clawlog(fresh, "uninstall", "systemd").status == 0
    assert systemctl.read_text().splitlines() == [
        "--user disable --now clawlogd.socket clawlogd.service",
        "--user daemon-reload",
    ]
    systemctl.unlink()
    assert tree(fresh.folder) == before
    assert not (fresh.folder / "config").exists()


def test_a_drop_in_says_where_the_program_and_the_state_are(fresh: Installation, systemctl: Path, clawlog: Clawlog) -> None:
    fresh.env["XDG_STATE_HOME"] = str(fresh.folder / "my 100% state")
    assert clawlog(fresh, "install", "systemd").status == 0
    drop_in = fresh.folder / "config" / "systemd" / "user" / "clawlogd.service.d" / "10-place.conf"
    state = f'"{fresh.folder}/my 100%% state/clawlog"'
    program = Path(sys.executable).parent / "clawlogd"
    assert drop_in.read_text().splitlines()[1:] == [
        "[Service]",
        f"ExecStartPre=+/usr/bin/install -d -m 0700 {state}",
        f"ReadWritePaths={state}",
        "ExecStart=",
        f"ExecStart={program} --state-dir {state} --log-format journal",
    ]


def test_no_drop_in_is_needed_where_the_units_look(fresh: Installation, systemctl: Path, clawlog: Clawlog) -> None:
    expected = fresh.folder / ".local" / "bin" / "clawlogd"
    expected.parent.mkdir(parents=True)
    expected.symlink_to(Path(sys.executable).parent / "clawlogd")
    actions = clawlog(fresh, "install", "systemd", "--dry-run", "--json").json["actions"]
    assert [Path(each["path"]).name for each in actions if each["action"] == "write"] == ["clawlogd.service", "clawlogd.socket"]


def test_a_unit_of_ones_own_is_not_overwritten(fresh: Installation, systemctl: Path, clawlog: Clawlog) -> None:
    own = fresh.folder / "config" / "systemd" / "user" / "clawlogd.socket"
    own.parent.mkdir(parents=True)
    own.write_text("[Socket]\n")
    before = tree(fresh.folder)
    ran = clawlog(fresh, "install", "systemd")
    assert ran.status == 65
    assert f"{own} exists, and was not written by this command" in ran.stderr
    assert tree(fresh.folder) == before
    assert clawlog(fresh, "install", "systemd", "--force").status == 0
    assert own.read_bytes() == (ROOT / "systemd" / "user" / "clawlogd.socket").read_bytes()


def test_an_upgrade_replaces_what_was_written_before(fresh: Installation, systemctl: Path, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "install", "systemd").status == 0
    unit = fresh.folder / "config" / "systemd" / "user" / "clawlogd.socket"
    record = fresh.folder / "installed.json"
    told = json.loads(record.read_text())
    unit.write_text("[Socket]\n# of an older version\n")
    told["systemd"]["files"][str(unit)] = sources_digest(unit)
    record.write_text(json.dumps(told))
    assert clawlog(fresh, "install", "systemd").status == 0
    assert unit.read_bytes() == (ROOT / "systemd" / "user" / "clawlogd.socket").read_bytes()


def sources_digest(path: Path) -> str:
    ran = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True)
    return ran.stdout.split()[0]


def test_a_daemon_that_has_the_state_already_is_mentioned(fresh: Installation, systemctl: Path, clawlog: Clawlog) -> None:
    daemon = fresh.start_daemon()
    ran = clawlog(fresh, "install", "systemd")
    assert ran.status == 0
    assert f"a daemon is already running (process {daemon.pid})" in ran.stderr


def test_a_systemctl_that_fails_is_said_and_what_was_written_can_be_undone(
    fresh: Installation, systemctl: Path, clawlog: Clawlog
) -> None:
    (fresh.folder / "bin" / "systemctl").write_text("#!/bin/sh\necho Failed to connect to bus >&2\nexit 1\n")
    ran = clawlog(fresh, "install", "systemd")
    assert ran.status == 69
    assert "systemctl --user daemon-reload ended with status 1: Failed to connect to bus" in ran.stderr
    assert clawlog(fresh, "uninstall", "systemd").status == 0
    assert not (fresh.folder / "config").exists()


# ── The skill ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_skill_is_whole_and_works_where_nothing_else_is(
    running: Installation, fresh: Installation, clawlog: Clawlog
) -> None:
    ran = clawlog(fresh, "install", "skill", "--into", str(fresh.folder / "skills"))
    assert (ran.status, ran.stderr) == (0, "")
    skill = fresh.folder / "skills" / "clawlog-status-sync"
    assert (skill / "SKILL.md").read_bytes() == (ROOT / "SKILL.md").read_bytes()
    assert not (skill / "client" / "clawlog" / "cli").exists()
    # -S: without any installed package, so without this project's either.
    command = [sys.executable, "-S", str(skill / "scripts" / "create_task.py"), "--title", "来自技能", "--step", "一"]
    created = subprocess.run(command, env=running.env, check=True, capture_output=True, text=True, timeout=20)
    task_id = json.loads(created.stdout)["task_id"]
    wait_until(lambda: [task.title for task in running.backend.tasks(q=task_id)] == ["来自技能"], "the backend has the task")


def test_the_skill_is_removed_but_for_what_was_changed(fresh: Installation, clawlog: Clawlog) -> None:
    skills = str(fresh.folder / "skills")
    assert clawlog(fresh, "install", "skill", "--into", skills).status == 0
    note = fresh.folder / "skills" / "clawlog-status-sync" / "scripts" / "note.txt"
    note.write_text("mine")
    assert clawlog(fresh, "uninstall", "skill", "--into", skills).status == 0
    assert tree(fresh.folder / "skills") == {"clawlog-status-sync/scripts/note.txt": b"mine"}
    note.unlink()
    assert clawlog(fresh, "install", "skill", "--into", skills).status == 0
    changed = note.parent / "create_task.py"
    changed.write_text("# mine\n")
    ran = clawlog(fresh, "uninstall", "skill", "--into", skills)
    assert ran.status == 65
    assert f"{changed} was changed since it was written" in ran.stderr
    assert changed.read_text() == "# mine\n"


def test_what_is_shipped_is_found_in_the_package_where_there_is_no_checkout(
    fresh: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = fresh.folder / "files"
    (packed / "references").mkdir(parents=True)
    (packed / "scripts").mkdir()
    (packed / "SKILL.md").write_text("packed")
    monkeypatch.setattr(sources, "_CHECKOUT", str(fresh.folder / "nowhere"))
    monkeypatch.setattr(sources, "_PACKED", str(packed))
    assert clawlog(fresh, "install", "skill", "--into", str(fresh.folder / "skills")).status == 0
    assert (fresh.folder / "skills" / "clawlog-status-sync" / "SKILL.md").read_text() == "packed"
    monkeypatch.setattr(sources, "_PACKED", str(fresh.folder / "nowhere"))
    ran = clawlog(fresh, "install", "skill", "--into", str(fresh.folder / "other"))
    assert ran.status == 69
    assert "lacks the files to install from" in ran.stderr


# ── All of them ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["systemd", "skill", "hooks"])
def test_where_nothing_was_installed_nothing_is_undone(fresh: Installation, clawlog: Clawlog, kind: str) -> None:
    ran = clawlog(fresh, "uninstall", kind)
    assert (ran.status, ran.stdout) == (0, "")
    assert ran.stderr == "clawlog: nothing to undo: clawlog install has written nothing there\n"


def test_a_record_that_cannot_be_read_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    (fresh.folder / "installed.json").write_text("{")
    ran = clawlog(fresh, "uninstall", "hooks")
    assert ran.status == 1
    assert "installed.json cannot be read" in ran.stderr


def test_what_cannot_be_written_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    (fresh.folder / "file").touch()
    ran = clawlog(fresh, "install", "skill", "--into", str(fresh.folder / "file"))
    assert ran.status == 69
    assert "cannot be written: Not a directory" in ran.stderr
    assert entries(fresh.folder) == {"file"}

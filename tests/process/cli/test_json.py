"""``--json``: what each command prints is what ``docs/json-output.md`` says, member by member."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from clawlog.cli import main
from process.cli.conftest import Clawlog
from process.cli.test_dead_letter import refused
from process.cli.test_start import command_of, every_command
from support.installation import Installation

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "json-output.md").read_text(encoding="utf-8")
WITHOUT = {("run",), ("top",), ("backend",), ("completion",), ("mcp",)}

_PLAIN = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


@dataclass(frozen=True)
class Field:
    """One row: the type as it is written, and whether the member may be missing."""

    type: str
    optional: bool


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def read_shapes() -> dict[str, dict[str, Field]]:
    """The tables of the page, by the anchors of their headings."""
    shapes = {}
    for section in re.split(r"^#+ ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
        if rows:
            fields = {name: Field(kind.removesuffix(", optional"), kind.endswith(", optional")) for name, kind in rows}
            shapes[anchor(heading)] = fields
    return shapes


SHAPES = read_shapes()


def check(value: object, kind: str, where: str) -> None:
    """Holds a value against a type as the page writes it."""
    if kind.endswith(" or null"):
        if value is not None:
            check(value, kind.removesuffix(" or null"), where)
    elif kind.startswith("list of "):
        assert isinstance(value, list), where
        for index, each in enumerate(value):
            check(each, kind.removeprefix("list of "), f"{where}[{index}]")
    elif kind.startswith("map of "):
        assert isinstance(value, dict), where
        for name, each in value.items():
            check(each, kind.removeprefix("map of "), f"{where}.{name}")
    elif link := re.fullmatch(r"\[[^]]+\]\(#([\w-]+)\)", kind):
        fits(value, link[1], where)
    elif kind != "any":
        assert isinstance(value, _PLAIN[kind]), f"{where}: {value!r} is no {kind}"
        assert kind == "boolean" or not isinstance(value, bool), f"{where}: {value!r} is no {kind}"


def fits(value: object, shape: str, where: str = "") -> None:
    """Holds an object against a table: no member is missing, none is left unsaid, and each has its type."""
    assert isinstance(value, Mapping), f"{where}: {value!r} is no object"
    fields = SHAPES[shape]
    assert value.keys() <= fields.keys(), f"{where or shape}: not documented: {value.keys() - fields.keys()}"
    needed = {name for name, field in fields.items() if not field.optional}
    assert needed <= value.keys(), f"{where or shape}: documented, and not there: {needed - value.keys()}"
    for name, each in value.items():
        check(each, fields[name].type, f"{where or shape}.{name}")


def test_a_shape_that_does_not_fit_would_be_found() -> None:
    fits({"flushed": True, "pending": 1}, "clawlog-flush")
    for wrong in ({"flushed": True}, {"flushed": True, "pending": "1"}, {"flushed": 1, "pending": 1},
                  {"flushed": True, "pending": 1, "more": 1}, {"flushed": True, "pending": True}):  # fmt: skip
        with pytest.raises(AssertionError):
            fits(wrong, "clawlog-flush")


def test_every_command_has_json_and_its_place_on_the_page() -> None:
    for names in every_command():
        command: click.Command = command_of(names[0])
        if len(names) == 2:
            assert isinstance(command, click.Group)
            command = command.commands[names[1]]
        if isinstance(command, click.Group):
            continue
        has = any("--json" in option.opts for option in command.params)
        assert has is (names not in WITHOUT), names
    for name in main.COMMANDS:
        assert f"`clawlog {name}" in PAGE or f"`{name}`" in PAGE, name


def test_every_link_of_a_type_leads_to_a_table() -> None:
    linked = {link for fields in SHAPES.values() for field in fields.values() for link in re.findall(r"#([\w-]+)", field.type)}
    assert linked <= SHAPES.keys()


@pytest.fixture(scope="module")
def task_id(running: Installation) -> str:
    """A task with a bit of everything."""
    with running.client() as client:
        task = client.create_task("形状", ["一", "二"], watch_pid=os.getpid(), metadata={"k": "v"}, summary="all of it")
        client.update_step(task.task_id, 1, "done", summary="well")
        assert client.flush().flushed
        running.backend.request_stop(task.task_id, reason="to see", requested_by="someone")
        assert client.check_interrupt(task.task_id, wait_s=10).interrupt_requested
    return task.task_id


def test_status_and_doctor(running: Installation, fresh: Installation, task_id: str, clawlog: Clawlog) -> None:
    fits(clawlog(running, "status", "--json").json, "clawlog-status")
    fits(clawlog(running, "doctor", "--json").json, "clawlog-doctor")
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
    found = clawlog(fresh, "status", "--json").json
    assert found["findings"]
    fits(found, "where-none-answers")
    fits(clawlog(fresh, "doctor", "--json").json, "clawlog-doctor")


def test_tasks_and_show(running: Installation, task_id: str, clawlog: Clawlog) -> None:
    fits(clawlog(running, "tasks", "--json").json, "clawlog-tasks")
    shown = clawlog(running, "show", task_id, "--json").json
    fits(shown, "clawlog-show-task")
    assert (shown["daemon"]["stop"]["state"], shown["daemon"]["metadata"]["k"]) == ("requested", "v")


def test_stop_and_flush(running: Installation, task_id: str, clawlog: Clawlog) -> None:
    fits(clawlog(running, "stop", task_id, "--json").json, "clawlog-stop-task")
    fits(clawlog(running, "flush", "--json").json, "clawlog-flush")


def test_dead_letters(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.start_backend()
    fresh.start_daemon()
    event_id = refused(fresh, "taken")
    for arguments in (("list",), ("retry", "--all")):
        found = clawlog(fresh, "dead-letter", *arguments, "--json").json
        assert found["dead_letters"]
        fits(found, "clawlog-dead-letter-list-retry-drop")
        refused_again = refused(fresh, f"taken-{arguments[0]}")
    fits(clawlog(fresh, "dead-letter", "show", refused_again, "--json").json, "a-dead-letter")
    fits(clawlog(fresh, "dead-letter", "drop", refused_again, "--json").json, "clawlog-dead-letter-list-retry-drop")
    assert event_id != refused_again


def test_contracts(running: Installation, clawlog: Clawlog) -> None:
    url = running.env["CLAWLOG_BASE_URL"]
    fits(clawlog(running, "contract", "show", "--json").json, "clawlog-contract-show")
    tried = clawlog(running, "contract", "try", url, "--json")
    fits(tried.json, "clawlog-contract-try")
    assert (tried.status, tried.json["ok"], tried.json["state"]) == (0, True, "standard")


def test_install_and_uninstall(fresh: Installation, clawlog: Clawlog) -> None:
    shape, kinds = "clawlog-install-clawlog-uninstall", set()
    for arguments in (("install", "systemd", "--dry-run"), ("install", "skill"), ("uninstall", "skill")):
        planned = clawlog(fresh, *arguments, "--json").json
        fits(planned, shape)
        kinds |= {each["action"] for each in planned["actions"]}
    assert kinds == {"write", "remove", "run"}


def test_hooks(fresh: Installation, clawlog: Clawlog) -> None:
    shape, kinds = "clawlog-install-hooks-clawlog-uninstall-hooks", set()
    (fresh.folder / ".gemini").mkdir()
    (fresh.folder / ".gemini" / "settings.json").write_text("// mine\n{}", encoding="utf-8")
    for verb in ("install", "uninstall"):
        planned = clawlog(fresh, verb, "hooks", "claude-code", "codex", "gemini-cli", "--json").json
        fits(planned, shape)
        kinds |= {each["action"] for each in planned["actions"]}
        assert planned["notes"]
        assert bool(planned["left_alone"]) is (verb == "install")
    assert kinds == {"write", "remove", "edit"}


def test_up(fresh: Installation) -> None:
    process = fresh.start_clawlog("up", "--port", "0", "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    fits(told, "clawlog-up")
    assert told["ran_already"] is False
    assert told["socket"] == str(fresh.folder / "run" / "clawlogd.sock")
    fresh.end(process)
    assert process.stdout.read() == b""


def test_demo(fresh: Installation) -> None:
    *timeline, result = fresh.clawlog("demo", "--json").json_lines
    fits(result, "the-demos-result")
    for each in timeline:
        fits(each, "clawlog-demo")


def script(fresh: Installation, name: str, *arguments: str, status: int = 0) -> Any:
    """The last line that a script prints."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *arguments]
    ran = subprocess.run(command, env=fresh.env, capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == status, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


EVERYTHING = ["--step-id", "1", "--step-status", "done", "--heartbeat", "--task-status", "running", "--json"]


def test_the_scripts(running: Installation, task_id: str) -> None:
    long = ["--summary", "x" * 500]
    created = script(running, "create_task", "--title", "T", "--step", "eins", *long)
    fits(created, anchor("create_task.py"))
    assert created["summary_truncated"] is True
    done = script(running, "update_status", "--task-id", created["task_id"], *EVERYTHING, "--check-interrupt", "--wait")
    fits(done, anchor("update_status.py --json"))
    assert set(done) == {"task_id", "step", "heartbeat", "task", "wait", "interrupt"}
    acknowledged = script(running, "update_status", "--task-id", task_id, "--ack-interrupt", "--json")
    fits(acknowledged, anchor("update_status.py --json"))
    for more in ([], ["--follow"]):
        said = script(running, "poll_interrupt", "--task-id", created["task_id"], "--timeout", "0.1", *more)
        fits(said, anchor("poll_interrupt.py"))


def test_the_scripts_where_no_daemon_runs(fresh: Installation) -> None:
    created = script(fresh, "create_task", "--title", "T", "--step", "eins")
    fits(created, anchor("create_task.py"))
    assert created["spooled"] is True
    done = script(fresh, "update_status", "--task-id", created["task_id"], "--step-id", "1", "--step-status", "done", "--json")
    fits(done, anchor("update_status.py --json"))
    assert done["step"]["spooled"] is True

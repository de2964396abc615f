"""What every command shares: it starts quickly, its help is whole, and its faults are lines and statuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import click
import pytest

from clawlog.cli import main
from process.cli.conftest import Clawlog
from support.installation import CLAWLOG, Installation

SLOW = ("rich", "asyncio", "urllib.request", "tomllib", "concurrent.futures", "clawlog.client", "clawlog.cli.commands")


def command_of(name: str) -> click.Command:
    command = main.cli.get_command(click.Context(main.cli), name)
    assert command is not None
    return command


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in main.COMMANDS:
        command = command_of(name)
        found.append((name,))
        found += [(name, each) for each in getattr(command, "commands", ())]
    return found


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_answers_without_loading_what_it_does_not_need(option: str) -> None:
    program = "import sys; from clawlog.cli.main import run; run(sys.argv[1:]); print(*sys.modules, sep='\\n', file=sys.stderr)"
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it imports much of its own
    ran = subprocess.run(
        [sys.executable, "-c", program, option], env=env, capture_output=True, text=True, check=True, timeout=20
    )
    loaded = set(ran.stderr.splitlines())
    assert "click" in loaded
    assert not loaded & set(SLOW)


def test_the_start_costs_less_than_twice_that_of_click_alone() -> None:
    unwanted = ("PYTHONDONTWRITEBYTECODE", "COV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}

    def used_by(*command: str) -> float:
        """The processor time that it took, in seconds: time on the clock is also that of others."""
        process = subprocess.Popen([sys.executable, *command], env=env, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    # In turns, so that a busy machine slows all of them down alike.
    commands = (("-c", "import click"), (*CLAWLOG[1:], "--help"), (*CLAWLOG[1:], "--version"))
    bare, *own = (min(column) for column in zip(*([used_by(*each) for each in commands] for _ in range(6)), strict=True))
    assert max(own) < 2 * bare


def test_the_version_is_that_of_the_distribution(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "--version").stdout == f"clawlog {version('clawlog-status-sync')}\n"


def test_the_help_lists_every_command_under_its_own_first_line() -> None:
    assert {name: command_of(name).short_help for name in main.COMMANDS} == main.COMMANDS


@pytest.mark.parametrize("names", [each for each in every_command() if each != ("backend",)], ids=" ".join)
def test_every_help_shows_examples_and_exit_statuses(names: tuple[str, ...], fresh: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(fresh, *names, "--help")
    assert (ran.status, ran.stderr) == (0, "")
    assert "Examples:\n" in ran.stdout
    assert "Exit statuses:\n" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonesuch"], "No such command 'nonesuch'"),
        (["stauts"], "No such command 'stauts'. Did you mean status?"),
        (["kill"], "Did you mean stop?"),
        (["contract", "shwo"], "Did you mean show?"),
        (["status", "--nonesuch"], "No such option"),
        (["show"], "Missing argument"),
        (["up", "--port", "70000"], "is not in the range"),
        (["flush", "--timeout", "soon"], "is not a valid float"),
        (["completion", "tcsh"], "is not one of"),
    ],
)
def test_bad_usage_is_status_2_and_says_what_is_wrong(
    arguments: list[str], said: str, fresh: Installation, clawlog: Clawlog
) -> None:
    ran = clawlog(fresh, *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_an_address_that_is_none_is_bad_usage(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_SOCKET"] = "http://localhost:8000"
    ran = clawlog(fresh, "tasks")
    assert ran.status == 2
    assert "CLAWLOG_SOCKET" in ran.stderr


def test_a_configuration_that_cannot_be_read_is_bad_usage(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_CONFIG"] = str(fresh.folder / "missing.toml")
    ran = clawlog(fresh, "show", "some-task")
    assert ran.status == 2
    assert "missing.toml cannot be read" in ran.stderr
    (fresh.folder / "missing.toml").write_text("base_url = \n")
    ran = clawlog(fresh, "show", "some-task")
    assert ran.status == 2
    assert "missing.toml is not TOML" in ran.stderr


@pytest.mark.parametrize(("shell", "said"), [("bash", "complete -o"), ("zsh", "#compdef clawlog"), ("fish", "complete ")])
def test_completion_is_for_the_shell_that_was_named(shell: str, said: str, fresh: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(fresh, "completion", shell)
    assert ran.status == 0
    assert said in ran.stdout
    assert "_CLAWLOG_COMPLETE" in ran.stdout


def test_a_shell_completes_commands_and_the_ids_of_tasks(running: Installation) -> None:
    with running.client() as client:
        client.create_task("补全", task_id="complete-me-7")

    def completions(*words: str) -> list[str]:
        told = {
            "_CLAWLOG_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["clawlog", *words]),
            "COMP_CWORD": str(len(words)),
        }
        return [line.partition("\t")[0] for line in running.clawlog(env=told).stdout.splitlines()]

    assert completions("sta") == ["plain,status"]
    assert completions("show", "complete-m") == ["plain,complete-me-7"]
    with running.client() as client:
        ended = client.create_task("not to stop", task_id="ended0a7f3e").task_id
        client.update_task(ended, "done")
        client.create_task("to stop", task_id="goeson0b7f3d")
    offered = {command: completions(command, "") for command in ("show", "stop")}
    for end, commands in (("7f3e", ["show"]), ("7f3d", ["show", "stop"])):  # as lists show them: by their last characters
        assert [each for each in offered if any(word.endswith(end) for word in offered[each])] == commands


@pytest.mark.skipif(shutil.which("bash") is None, reason="wants bash")
def test_bash_lists_ids_with_their_titles_and_types_the_id_alone(running: Installation) -> None:
    with running.client() as client:
        client.create_task('Fix * and $(date); it\'s "urgent"', task_id="titled-a-77c1")
        client.create_task("the other", task_id="titled-b-77c2")
    asks = """
        eval "$(clawlog completion bash)"
        ask() { COMP_WORDS=(clawlog show "$1") COMP_CWORD=2 COMP_TYPE=9 COMPREPLY=(); _clawlog_completion clawlog; }
        ask titled-; printf '%s\\n' "${COMPREPLY[@]}"
        ask titled-b; printf '%s\\n' "${COMPREPLY[@]}"
    """
    program = running.folder / "bin" / "clawlog"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{CLAWLOG[-1]}' \"$@\"\n")
    program.chmod(0o755)
    env = {**running.env, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "--norc", "-c", asks], env=env, capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.splitlines() == [
        "titled-b-77c2  (the other)",
        'titled-a-77c1  (Fix * and $(date); it\'s "urgent")',
        "titled-b-77c2",
    ]

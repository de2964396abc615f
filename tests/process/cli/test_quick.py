"""What ``clawlog`` answers without a library: the same, byte for byte, as the commands themselves, and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from clawlog import locations
from clawlog.cli import entry, main
from clawlog.cli.catalogue import COMMANDS
from clawlog.cli.quick import completion, status, tasks
from clawlog.cli.quick import help as own_help
from clawlog.cli.sources import exchange
from process.cli.conftest import Clawlog
from process.cli.test_status import QUICK, SLOW
from support.installation import Installation

VOLATILE = ("uptime_s", "memory_bytes", "connections", "requests", "outbox", "backends", "tasks", "zmq")


@pytest.fixture
def told(running: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with tasks, whose backend was reached; this process's environment is its."""
    for name in os.environ.keys() - running.env.keys():
        monkeypatch.delenv(name)
    for name, value in running.env.items():
        monkeypatch.setenv(name, value)
    with running.client() as client:
        if not any(each["task_id"] == "quick-a-77d1" for each in client.list_tasks()["tasks"]):
            client.create_task("问", ["一"], task_id="quick-a-77d1")
            client.update_task(client.create_task("ended", task_id="quick-b-77d2").task_id, "done")
            assert client.flush().flushed
    return running


def test_documents_are_those_of_the_commands_and_load_no_library(told: Installation, clawlog: Clawlog) -> None:
    env = {name: value for name, value in told.env.items() if not name.startswith("COV")}  # it loads much of its own
    printed = {}
    for arguments in (["tasks", "--json"], ["status", "--json"], ["--help"], ["--version"]):
        program = QUICK.replace('["status"]', repr(arguments))
        ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=20)
        assert not SLOW & set(ran.stderr.split()), arguments
        printed[" ".join(arguments)] = ran.stdout
    assert _without_seconds(printed["tasks --json"]) == _without_seconds(clawlog(told, "tasks", "--json").stdout)
    assert printed["--help"] == clawlog(told, "--help").stdout
    assert printed["--version"] == clawlog(told, "--version").stdout
    quick, whole = printed["status --json"], clawlog(told, "status", "--json").stdout
    assert quick == json.dumps(json.loads(quick), ensure_ascii=False, indent=2) + "\n"
    first, second = json.loads(quick), json.loads(whole)
    assert list(first) == list(second)
    assert {name for name in first if first[name] != second[name]} <= set(VOLATILE)


def _without_seconds(document: str) -> list[str]:
    """A list of tasks tells how long ago what it knows of a stop was true, which differs from call to call."""
    return [line for line in document.splitlines() if '"age_s"' not in line]


@pytest.mark.parametrize("width", range(78, 99))
def test_the_help_is_laid_out_as_click_does(width: int) -> None:
    context = click.Context(main.cli, info_name="clawlog", terminal_width=width, **main.cli.context_settings)
    assert own_help.text(width) == main.cli.get_help(context) + "\n"


def test_a_terminal_of_another_width_is_left_to_click() -> None:
    assert [own_help.run("--help", {"COLUMNS": told}) for told in ("79", "12", "wide")] == [None] * 3
    assert own_help.columns({"COLUMNS": "132"}) == 132
    assert main.cli.context_settings["max_content_width"] == own_help.WIDEST


Completed = Callable[..., tuple[str | None, str]]


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Completed:
    """``completed("stop", "")``: what is printed for these words, the last of which is begun, and what click prints."""

    def complete(*words: str, shell: str = "bash") -> tuple[str | None, str]:
        monkeypatch.setenv("_CLAWLOG_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["clawlog", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        capfd.readouterr()
        quick = capfd.readouterr().out if completion.run(os.environ) is not None else None
        with pytest.raises(SystemExit):
            main.run([])
        return quick, capfd.readouterr().out

    return complete


def test_completions_in_bash_are_those_of_click(told: Installation, completed: Completed) -> None:
    for begun in ("", "s", "st", "dead-letter", "nonesuch"):
        quick, whole = completed(begun)
        assert quick == whole
    for command in COMMANDS:
        of_tasks = command in (*completion.OF_TASKS, *completion.OF_LIVE_TASKS)
        for begun in ("", "quick-", "77d1", "nonesuch") if of_tasks else ("",):
            quick, whole = completed(command, begun)
            assert (quick is None) is not of_tasks, command
            assert quick in (None, whole), command
            assert of_tasks is ("77d1" in whole) or begun in ("quick-", "nonesuch"), command


@pytest.mark.parametrize("words", [("--ver",), ("show", "--js"), ("show", "a", ""), ("show", "'a"), ("contract", "sh")])
def test_other_words_are_left_to_click(told: Installation, completed: Completed, words: tuple[str, ...]) -> None:
    assert completed(*words)[0] is None


def test_other_shells_are_left_to_click_which_loads_no_command_for_a_name(told: Installation, completed: Completed) -> None:
    assert completed("sta", shell="zsh") == (None, f"plain\nstatus\n{COMMANDS['status']}\n")
    context = click.Context(main.cli, info_name="clawlog")
    own = [(each.value, each.help) for each in main.cli.shell_complete(context, "")]
    assert own == [(each.value, each.help) for each in click.Group.shell_complete(main.cli, context, "")]
    assert [each.value for each in main.cli.shell_complete(context, "--")] == ["--version", "--help"]


def test_what_is_unusual_is_left_to_the_commands(
    told: Installation, fresh: Installation, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asks = [tasks.run, lambda env: status.run(env, as_json=True), completion.run]
    words = {"_CLAWLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clawlog show ", "COMP_CWORD": "2"}
    for env in (
        fresh.env,
        {**told.env, "CLAWLOG_SOCKET": "zmq:ipc:///nowhere"},
        {**told.env, "CLAWLOG_SOCKET": "/" + "x" * 200},
    ):
        assert [ask({**env, **words}) for ask in asks] == [None] * 3
    monkeypatch.setattr(locations, "installed_version", lambda: "0.0.1")
    assert [ask({**told.env, **words}) for ask in asks] == [None] * 3
    assert entry._quick(["tasks"]) is entry._quick(["status", "--nonesuch"]) is None  # noqa: SLF001 - what main asks first
    assert capfd.readouterr() == ("", "")


def test_a_daemon_that_hangs_is_left_to_the_commands(fresh: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(fresh.folder / "silent"))
        silent.listen()
        assert tasks.run({**fresh.env, "CLAWLOG_SOCKET": str(fresh.folder / "silent")}) is None

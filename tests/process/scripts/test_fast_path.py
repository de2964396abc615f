"""The fast path of a script: the same messages as the full path, and no module loaded that it can do without."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clawlog.connection.call import Call
from clawlog.connection.results import raw
from clawlog.protocol import jsonrpc, vocabulary
from clawlog.scripting import fast, options, parser, plan
from process.scripts.conftest import SCRIPTS, Run, python_of_scripts
from support import pythons
from support.scripted_daemon import NO_STOP, STOP, ScriptedDaemon, Trick

TOO_DEAR = {"argparse", "collections", "dataclasses", "enum", "json", "pathlib", "re", "socket", "subprocess", "typing", "uuid"}


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both paths mint ids of their own; here they are all one, so that the messages can be compared."""
    monkeypatch.setattr(plan, "new_uuid", lambda: "00000000-0000-7000-8000-000000000000")


ENVIRONMENTS = [
    {},
    {"CLAWLOG_TASK_ID": "from-env", "CLAUDECODE": "1"},
    {"CLAWLOG_BASE_URL": "http://env"},
    {"CLAWLOG_TASK_ID": ""},
]


def fast_messages(script: str, arguments: list[str], env: dict[str, str]) -> list[bytes] | None:
    plain = fast.prepare(script, arguments, env)
    if plain is None:
        return None
    try:
        return [fast.message(number, request).encode() for number, request in enumerate(plain[1], 1)]
    except UnicodeEncodeError:
        return None  # as ``exchange`` does


full_parser = functools.cache(parser.make)


def full_messages(script: str, arguments: list[str], env: dict[str, str]) -> list[bytes] | None:
    make_plan = {"create_task": plan.create_task, "update_status": plan.update_status}[script]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            values = parser.parse(full_parser(script), arguments)
        calls = [Call(each.method, each.params, raw) for each in make_plan(values, env)]
    except (SystemExit, plan.UsageError):
        return None
    return [call.encode(number) + b"\n" for number, call in enumerate(calls, 1)]


TEXTS = st.one_of(
    st.sampled_from(
        [
            "x",
            "部署 Nginx",
            'quo"te',
            "back\\slash",
            "tab\tline\n",
            "",
            "-",
            "-x",
            "- x y",
            "--",
            "--heartbeat",
            "1",
            "\u2028",
            "é",
        ]
    ),
    st.text(max_size=20),
)
NUMBERS = st.one_of(
    st.integers(-5, 10_000).map(str), st.sampled_from(["0.5", "1e3", "nan", "inf", " 7", "٣", "99999999999999999999", ""])
)


def flag_with_value(option: options.Option) -> st.SearchStrategy[list[str]]:
    if option.kind == options.SWITCH:
        return st.just([option.flag])
    if option.kind in (options.TEXT, options.TEXTS):
        values = st.one_of(st.sampled_from(option.choices), TEXTS) if option.choices else TEXTS
    elif option.kind == options.PROGRESS:
        values = st.one_of(NUMBERS, st.tuples(NUMBERS, NUMBERS).map("/".join), st.just("318/2480"))
    elif option.kind == options.PAIRS:
        values = st.one_of(TEXTS, st.just("k=v"))
    else:
        values = NUMBERS
    return st.one_of(
        values.map(lambda value: [option.flag, value]),
        values.map(lambda value: [f"{option.flag}={value}"]),
        st.just([option.flag]),
        values.map(lambda value: [option.flag[:-1], value]),
    )


def command_lines(script: str) -> st.SearchStrategy[list[str]]:
    flags = st.one_of([flag_with_value(option) for option in options.SCRIPTS[script]])
    return st.lists(flags, max_size=8).map(lambda groups: [word for group in groups for word in group])


SENSIBLE_UPDATES = st.tuples(
    TEXTS,
    st.sampled_from(vocabulary.STEP_STATUSES),
    TEXTS,
    st.sets(st.sampled_from(["--heartbeat", "--check-interrupt", "--ack-interrupt", "--json", "--best-effort"])),
    st.integers(0, 4000),
).map(
    lambda drawn: [
        *("--task-id", "t", "--step-id", drawn[0], "--step-status", drawn[1], "--step-summary", drawn[2]),
        *sorted(drawn[3]),
        *(("--lease", str(drawn[4])) if "--heartbeat" in drawn[3] else ()),
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(command_lines("update_status"), SENSIBLE_UPDATES), st.sampled_from(ENVIRONMENTS))
@example(["--task-id", "t", "--step-id", "2", "--step-status", "done", "--step-summary", '部署 "x" \\ \x7f'], {})
@example(["--task-id", "t", "--check-interrupt", "--max-age", "007"], {})
def test_update_status_says_the_same_on_both_paths(arguments: list[str], env: dict[str, str]) -> None:
    quick = fast_messages("update_status", arguments, env)
    assert quick is None or quick == full_messages("update_status", arguments, env)


@settings(max_examples=1000, deadline=None)
@given(command_lines("create_task").map(lambda words: ["--title", "t", *words]), st.sampled_from(ENVIRONMENTS))
@example(["--title", "部署 Nginx 服务", "--step", "检查\u3000", "--step", "b", "--watch-pid", "00042"], {})
def test_create_task_says_the_same_on_both_paths(arguments: list[str], env: dict[str, str]) -> None:
    quick = fast_messages("create_task", arguments, env)
    assert quick is None or quick == full_messages("create_task", arguments, env)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task-id", "t", "--check-interrupt"],
        ["--task-id", "t", "--step-id", "1", "--step-status", "running", "--step-summary", "starting config generation"],
        ["--task-id", "t", "--heartbeat", "--heartbeat-summary", "写配置", "--lease", "60"],
        ["--task-id", "t", "--ack-interrupt", "--ack-summary", "stopped after current step"],
        ["--task-id", "t", "--task-status", "done", "--json", "--best-effort"],
        ["--task-id", "t", "--progress", "318/2480"],
        ["--task-id", "t", "--step-id", "2", "--step-status", "running", "--progress", "7"],
        ["--task-id", "t", "--waiting-for", "drop column orders.note?"],
        ["--task-id", "t", "--add-step", "found on the way", "--after", "2", "--step-id", "3", "--step-status", "running"],
        ["--task-id", "t", "--link", "pull request=https://git.example/pulls/7"],
    ],
)
def test_what_agents_type_takes_the_fast_path(arguments: list[str]) -> None:
    assert fast_messages("update_status", arguments, {}) == full_messages("update_status", arguments, {}) != None  # noqa: E711 - one chain of comparisons


@given(st.recursive(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)), st.lists))
def test_its_json_is_the_protocols(value: object) -> None:
    assert fast.encode(value).encode() == jsonrpc.dumps(value)


EVERY_ACTION = [
    *("--task-id", "t", "--add-step", "part 二", "--add-step", "b", "--after", "1"),
    *("--step-id", "1", "--step-status", "done", "--step-summary", '"x" \\ 部署', "--progress", "318/2480"),
    *("--link", "log=https://ci.example/log?run=7", "--link", "https://ci.example/a=b"),
    *("--heartbeat", "--heartbeat-summary", "h", "--lease", "60"),
    *("--task-status", "running", "--task-summary", "s", "--ack-interrupt", "--ack-summary", "a"),
    *("--wait", "3", "--check-interrupt", "--max-age", "7"),
]
EVERY_FLAG = [
    "--title",
    "T",
    "--step",
    "a",
    "--base-url",
    "http://b",
    "--summary",
    "s",
    "--watch-pid",
    "1",
    "--metadata",
    "k=v",
    "--parent",
    "p",
]


def test_a_parent_that_nobody_chose_is_spelt_as_the_protocol_spells_it() -> None:
    for arguments in (["--title", "t"], ["--title", "t", "--parent", "p"]):
        quick = fast_messages("create_task", arguments, {"CLAWLOG_TASK_ID": "from-env"})
        assert quick == full_messages("create_task", arguments, {"CLAWLOG_TASK_ID": "from-env"}) != None  # noqa: E711 - as above


def test_every_verb_that_a_script_sends_is_spelt_as_the_protocol_spells_it() -> None:
    created = plan.create_task(parser.parse(full_parser("create_task"), EVERY_FLAG), {})
    updated = plan.update_status(parser.parse(full_parser("update_status"), EVERY_ACTION), {})
    assert {each.method for each in (*created, *updated)} == {
        "task.create",
        "step.add",
        *(action[2] for action in plan.ACTIONS),
    }
    for number, each in enumerate([*created, *updated], 1):
        assert fast.message(number, each).encode() == jsonrpc.encode_request(each.method, each.params, number) + b"\n"


def modules_loaded(command: list[str], env: dict[str, str]) -> set[str]:
    ended = subprocess.run([command[0], "-X", "importtime", *command[1:]], env=env, check=True, capture_output=True, text=True)
    return {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("python", {"here": python_of_scripts(), **pythons.installed()}.values())
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("update_status", ["--task-id", "t", "--heartbeat", "--check-interrupt"]),
        ("update_status", ["--task-id", "t", "--step-id", "1", "--step-status", "done", "--step-summary", 'with "quotes"']),
        (
            "update_status",
            ["--task-id", "t", "--add-step", "x", "--progress", "1/2", "--link", "https://x", "--waiting-for", "y"],
        ),
        ("create_task", ["--title", "部署", "--step", "a", "--step", "b", "--parent", "p"]),
    ],
)
def test_nothing_dear_is_loaded_that_python_does_not_load_by_itself(
    daemon: ScriptedDaemon, env: dict[str, str], script: str, arguments: list[str], python: str
) -> None:
    environment = env | {"CLAWLOG_SOCKET": daemon.address}
    bare = modules_loaded([python, "-c", "pass"], environment)
    loaded = modules_loaded([python, str(SCRIPTS / f"{script}.py"), *arguments], environment) - bare
    assert "clawlog.scripting.fast" in loaded
    assert not {name.partition(".")[0] for name in loaded} & TOO_DEAR
    assert len(loaded) <= 12, sorted(loaded)  # the vocabulary among them, which the flags take their choices from


def run_fast(daemon: ScriptedDaemon, script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int | None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    plain = fast.prepare(script, arguments, os.environ)
    assert plain is not None
    return fast.run_fast(plain[1])


def test_prints_what_the_full_path_prints(
    daemon: ScriptedDaemon, run: Run, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["task.update"] = {"accepted": True, "event_id": "e", "pending": 1}
    daemon.answers["interrupt.check"] = {**STOP, "reason": '停 "now"'}
    arguments = ["--task-id", '部"署', "--heartbeat", "--task-status", "done", "--check-interrupt"]
    assert run_fast(daemon, "update_status", arguments, monkeypatch) == 20
    quick = capsysbinary.readouterr().out
    full = run("update_status", *arguments, "--task-summary=the equals sign makes it unusual")
    assert (full.status, full.stdout.encode()) == (20, quick)


def test_prints_the_created_task(
    daemon: ScriptedDaemon, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_fast(daemon, "create_task", ["--title", "部署", "--step", "a"], monkeypatch) == 0
    assert json.loads(capsysbinary.readouterr().out)["title"] == "部署"


@pytest.mark.parametrize("answer", [Trick.HANG_UP, Trick.GARBAGE, {**NO_STOP, "state": "unknown"}, {**NO_STOP, "state": "new"}])
def test_leaves_what_it_does_not_know_to_the_full_path(
    daemon: ScriptedDaemon, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    daemon.answers["interrupt.check"] = answer
    assert run_fast(daemon, "update_status", ["--task-id", "t", "--check-interrupt"], monkeypatch) is None
    assert capsysbinary.readouterr().out == b""


@pytest.mark.parametrize("address", ["zmq:ipc:///x", "/nonexistent", "/" + "x" * 200])
def test_leaves_other_addresses_to_the_full_path(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", address)
    plain = fast.prepare("update_status", ["--task-id", "t", "--heartbeat"], {})
    assert plain is not None
    assert fast.run_fast(plain[1]) is None


def test_a_closed_stdout_is_left_to_the_full_path(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert run_fast(daemon, "update_status", ["--task-id", "t", "--heartbeat"], monkeypatch) is None


def test_a_python_without_the_c_modules_takes_the_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "socket", None)
    assert fast.prepare("update_status", ["--task-id", "t", "--heartbeat"], {}) is None


def test_the_scripts_themselves_are_short() -> None:
    for path in Path(SCRIPTS).glob("*.py"):
        assert len(path.read_text().splitlines()) <= 25

"""The hook's shell script, run by each shell that there is, as agents run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from clawlog.protocol.agents import MAX_SIGNS_BYTES, session_file
from support.agent_hook import LIMIT_S, Hook
from support.scripted_daemon import Trick

FOUND = {
    os.path.realpath(found): (found, *more)
    for name, *more in (("bash", "--posix"), ("busybox", "sh"), ("ksh",), ("mksh",), ("dash",))
    if (found := shutil.which(name)) is not None
}
SHELLS = [pytest.param((), id="sh")] + [
    pytest.param(command, id=Path(path).name) for path, command in FOUND.items() if path != os.path.realpath("/bin/sh")
]
SESSION = "5f0c-1"
MESSAGE = 'A person said: "stop", \\ at once é'
TOLD = json.dumps(MESSAGE)
PROMPTS = {"codex": "UserPromptSubmit", "gemini-cli": "BeforeAgent", "cursor": "beforeSubmitPrompt"}


@pytest.fixture(params=SHELLS)
def hook(request: pytest.FixtureRequest, folder: Path) -> Hook:
    return Hook(folder, request.param)


@pytest.fixture
def sh(folder: Path) -> Hook:
    return Hook(folder)


def before(**more: Any) -> dict[str, Any]:
    return {"session_id": SESSION, "cwd": "/tmp", "hook_event_name": "x", "tool_name": "Bash", "tool_input": {}, **more}


def assert_silent(result: subprocess.CompletedProcess[bytes]) -> None:
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_tool_leaves_a_sign_and_starts_nothing(hook: Hook) -> None:
    signs = hook.listen("claude-code", SESSION)
    with hook.daemon() as daemon:
        for event in ("PreToolUse", "PostToolUse", "PostToolUseFailure"):
            assert_silent(hook.call("claude-code", event, before()))
        assert_silent(hook.call("claude-code", "PreToolUse", before(tool_name="a tool; of a server")))
        assert daemon.connections == 0
    assert signs.read_text() == "before Bash\nafter Bash\nafter Bash failed\nbefore tool\n"


def test_a_session_that_the_daemon_does_not_know_is_reported_to_it(hook: Hook) -> None:
    with hook.daemon() as daemon:
        assert_silent(hook.call("codex", "PreToolUse", before()))
        params = daemon.only("agent.event")
    assert params.pop("at").endswith("Z")
    assert params.pop("event_id")
    assert params == {
        "agent": "codex", "session_id": SESSION, "event": "tool.before", "cwd": "/tmp", "pid": os.getpid(), "tool": "Bash",
    }  # fmt: skip
    assert not hook.signs("codex", SESSION).exists()  # that is for the daemon to make


DENIED = {
    "claude-code": {
        "continue": False,
        "stopReason": MESSAGE,
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": MESSAGE,
        },
    },
    "gemini-cli": {"continue": False, "stopReason": MESSAGE, "decision": "deny", "reason": MESSAGE},
    "qwen-code": {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": MESSAGE,
        },
    },
    "copilot-cli": {"permissionDecision": "deny", "permissionDecisionReason": MESSAGE},
    "cursor": {"permission": "deny", "user_message": MESSAGE, "agent_message": MESSAGE},
}  # fmt: skip
EVENTS = {"gemini-cli": "BeforeTool", "cursor": "preToolUse"}


@pytest.mark.parametrize("agent", [*DENIED, "codex", "some-other-agent"])
def test_a_held_session_is_answered_in_the_way_that_stops_its_agent(hook: Hook, agent: str) -> None:
    hook.hold(agent, SESSION, MESSAGE)
    signs = hook.listen(agent, SESSION)
    with hook.daemon() as daemon:
        result = hook.call(agent, EVENTS.get(agent, "PreToolUse"), before(agent_id="sub-1"))
        told = daemon.only("agent.event")
    if agent in DENIED:
        assert (result.returncode, result.stderr) == (0, b"")
        assert json.loads(result.stdout) == DENIED[agent]
    else:
        assert (result.returncode, result.stdout, result.stderr.decode()) == (2, b"", f"{MESSAGE}\n")
    assert (told["event"], told["tool"], told["subagent_id"]) == ("tool.before", "Bash", "sub-1")
    assert signs.read_text() == ""


def test_a_held_session_needs_no_daemon_and_its_receipt_is_kept(sh: Hook) -> None:
    sh.hold("codex", SESSION, MESSAGE)
    assert sh.call("codex", "PreToolUse", before()).returncode == 2
    (kept,) = (sh.state / "spool").glob("*.call")
    assert '"tool.before"' in kept.read_text()


@pytest.mark.parametrize(("agent", "prompt"), [("claude-code", "<task-notification>\n<id>"), ("qwen-code", "")])
def test_what_an_agent_says_to_itself_is_held_too(hook: Hook, agent: str, prompt: str) -> None:
    hold = hook.hold(agent, SESSION, MESSAGE)
    with hook.daemon() as daemon:
        result = hook.call(agent, "UserPromptSubmit", before(prompt=prompt))
        told = daemon.only("agent.event")
    assert json.loads(result.stdout) == {"continue": False, "stopReason": MESSAGE}
    assert (told["event"], told["tool"]) == ("tool.before", "prompt")
    assert hold.exists()


@pytest.mark.parametrize("agent", ["claude-code", "codex", "gemini-cli", "cursor"])
def test_a_persons_prompt_ends_the_hold_before_it_is_reported(hook: Hook, agent: str) -> None:
    hold = hook.hold(agent, SESSION, MESSAGE)
    with hook.daemon() as daemon:
        assert_silent(hook.call(agent, PROMPTS.get(agent, "UserPromptSubmit"), before(prompt='"Go" on <task-notification>')))
        assert daemon.only("agent.event")["prompt"] == '"Go" on <task-notification>'
    assert not hold.exists()


def test_what_an_agent_says_to_itself_is_nobodys_prompt(sh: Hook) -> None:
    with sh.daemon() as daemon:
        assert_silent(sh.call("qwen-code", "UserPromptSubmit", before(prompt="")))
        assert daemon.connections == 0


def test_of_a_prompt_no_more_than_its_first_line_reaches_socket_and_spool(sh: Hook) -> None:
    secret = "sk-0123456789abcdef"
    prompt = f"\n  Deploy with {secret} " + "x" * 100 + "\nsecond line\n"
    with sh.daemon() as daemon:
        assert_silent(sh.call("claude-code", "UserPromptSubmit", before(prompt=prompt)))
        sent = daemon.only("agent.event")["prompt"]
    assert_silent(sh.call("claude-code", "UserPromptSubmit", before(prompt=prompt)))
    (kept,) = (sh.state / "spool").glob("*.call")
    for text in (sent, kept.read_text(encoding="utf-8")):
        assert "Deploy with [masked] xxx" in text
        assert secret not in text
        assert "second" not in text
    assert len(sent) == 80


@pytest.mark.parametrize("session", ["a/b", "..", ".hidden", "a b", 'quo"te', "é", "x" * 200, "new\nline", "*"])
def test_a_session_whose_id_is_no_files_name_is_signed_and_held_all_the_same(sh: Hook, session: str) -> None:
    signs = sh.listen("claude-code", session_file(session))
    assert_silent(sh.call("claude-code", "PreToolUse", before(session_id=session)))
    assert signs.read_text() == "before Bash\n"
    sh.hold("claude-code", session_file(session), MESSAGE)
    assert json.loads(sh.call("claude-code", "PreToolUse", before(session_id=session)).stdout)["continue"] is False


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sessionId" : "5f0c-1" , "toolName" : "Bash"}',
        b'{"tool_name":"Bash","conversation_id":"5f0c-1"}',
        b'{"x":"session_id","y":{"z":"\\"session_id\\":\\"other\\""},"session_id":"5f0c-1","tool_name":"Bash"}',
        b'{"sessionId":"child","parentAgentId":"5f0c-1","toolName":"Bash"}',
        b'{"tool_name":"Bash"}',
    ],
)
def test_a_session_is_found_by_each_of_its_names(hook: Hook, payload: bytes) -> None:
    signs = hook.listen("claude-code", SESSION)
    assert_silent(hook.call("claude-code", "PreToolUse", payload, CLAUDE_CODE_SESSION_ID=SESSION))
    assert signs.read_text() == "before Bash\n"


def test_another_agents_variable_names_no_session(sh: Hook) -> None:
    signs = sh.listen("codex", SESSION)
    assert_silent(sh.call("codex", "PreToolUse", b'{"tool_name":"Bash"}', CLAUDE_CODE_SESSION_ID=SESSION))
    assert signs.read_text() == ""


@pytest.mark.parametrize("knows", [True, False], ids=["signed", "reported"])
def test_a_tool_of_megabytes_is_read_to_its_end(hook: Hook, knows: bool) -> None:
    if knows:
        hook.listen("claude-code", SESSION)
    content = json.dumps(before(tool_input={"content": 'line "with" quotes\n' * 300_000})).encode()
    with hook.daemon() as daemon, hook.begun() as descriptor:
        process = subprocess.Popen(
            [*hook.shell, str(hook.hooks / "hook"), "claude-code", "PreToolUse"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=hook.env, pass_fds=[descriptor],
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(content)  # which fails where nobody reads it
            process.stdin.close()
            assert process.stdout.read() == b""
        assert process.wait(LIMIT_S) == 0
        if not knows:
            daemon.wait_for("agent.event")
            assert daemon.only("agent.event")["tool"] == "Bash"
    if knows:
        assert hook.signs("claude-code", SESSION).read_text() == "before Bash\n"


@pytest.mark.parametrize("event", ["PreToolUse", "UserPromptSubmit", "Stop"])
def test_a_stdin_that_is_never_closed_holds_nobody_up(hook: Hook, event: str) -> None:
    with hook.daemon() as daemon, hook.begun() as descriptor:
        process = subprocess.Popen(
            [*hook.shell, str(hook.hooks / "hook"), "claude-code", event],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=hook.env, pass_fds=[descriptor],
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(json.dumps(before(prompt="Go")).encode())
            process.stdin.flush()
            assert process.stdout.read() == b""
            assert process.wait(LIMIT_S) == 0
            daemon.wait_for("agent.event")


def test_no_stdin_at_all_is_no_trouble(hook: Hook) -> None:
    command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *hook.shell, str(hook.hooks / "hook"), "copilot-cli", "PreToolUse"]
    assert_silent(subprocess.run(command, capture_output=True, env=hook.env, timeout=LIMIT_S, check=False))


def test_an_agent_waits_for_no_daemon(hook: Hook) -> None:
    answered = threading.Event()

    def answer(_: Any) -> dict[str, str]:
        answered.wait(LIMIT_S)
        return {"decision": "go"}

    with hook.daemon() as daemon, hook.begun() as descriptor:
        daemon.answers["agent.event"] = answer
        for event in ("SessionStart", "UserPromptSubmit", "PreToolUse", "Stop"):
            # It returns although no report was answered, and none can be before this thread lets it.
            assert_silent(hook.call_only("claude-code", event, before(prompt="Go"), descriptor))
        answered.set()
        daemon.wait_for("agent.event", 4)


def test_a_hung_daemon_costs_but_one_report_of_a_tool(sh: Hook) -> None:
    with sh.daemon() as daemon:
        daemon.answers["agent.event"] = Trick.SILENCE
        assert_silent(sh.call("claude-code", "PreToolUse", before()))
        tried = daemon.connections
        assert_silent(sh.call("claude-code", "PreToolUse", before()))
        assert daemon.connections == tried == 1
    assert sh.signs("claude-code", SESSION).read_text() == "before Bash\n"
    assert not list((sh.state / "spool").glob("*.call"))  # a sign of life is true at its time alone


def _no_state_file(hook: Hook) -> None:
    (hook.hooks / "state").unlink()


def _no_python(hook: Hook) -> None:
    (hook.hooks / "python").write_text("/nowhere/python\n/nowhere\n")


def _no_python_file(hook: Hook) -> None:
    (hook.hooks / "python").unlink()


def _state_is_a_file(hook: Hook) -> None:
    hook.state.write_text("")


def _signs_are_a_folder(hook: Hook) -> None:
    hook.signs("copilot-cli", SESSION).mkdir(parents=True)


def _nothing_is_wrong(_: Hook) -> None:
    pass


@pytest.mark.parametrize(
    "damage", [_no_state_file, _no_python, _no_python_file, _state_is_a_file, _signs_are_a_folder, _nothing_is_wrong]
)
@pytest.mark.parametrize("env", [{}, {"PATH": ""}, {"PATH": None, "HOME": None}], ids=["", "no PATH", "neither PATH nor HOME"])
def test_whatever_is_wrong_the_agent_goes_on(sh: Hook, damage: Any, env: dict[str, str | None]) -> None:
    damage(sh)
    with sh.begun() as descriptor:
        for event in ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"):
            assert_silent(sh.call_only("copilot-cli", event, before(prompt="Go"), descriptor, **env))


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"null", b"\0\xff\xfe", b'{"session_id":5}', b'{"session_id":""}', b'"' * 70_000, b"[" * 70_000,
     b'{"session_id":"5f0c-1","tool_name":"$(touch x)`touch y`"}', b'{"session_id":"$(touch x)","tool_name":"-n %s"}'],
)  # fmt: skip
def test_hostile_payloads_are_harmless(hook: Hook, payload: bytes) -> None:
    hook.listen("copilot-cli", SESSION)
    with hook.begun() as descriptor:
        for event in ("PreToolUse", "PostToolUse", "UserPromptSubmit", "Stop"):
            assert_silent(hook.call_only("copilot-cli", event, payload, descriptor))
    assert not {"x", "y"} & set(os.listdir(hook.folder))  # noqa: PTH208 - names are what is asked for


def test_signs_stay_within_their_bound(hook: Hook) -> None:
    signs = hook.listen("claude-code", SESSION)
    signs.write_bytes(b"." * (MAX_SIGNS_BYTES - 3))
    for _ in range(2):
        assert_silent(hook.call("claude-code", "PreToolUse", before()))
    assert signs.stat().st_size <= MAX_SIGNS_BYTES


def test_what_runs_in_the_background_gets_the_agents_own_surroundings(hook: Hook) -> None:
    seen = hook.folder / "seen"
    program = hook.folder / "python"
    program.write_text(f'#!/bin/sh\n{{ ulimit -f; echo "$PATH"; cat; }} >"{seen}.draft"; mv "{seen}.draft" "{seen}"\n')
    program.chmod(0o755)
    (hook.hooks / "python").write_text(f"{program}\n\n")
    hook.listen("claude-code", SESSION)
    payload = before(tool_name="TodoWrite")
    hook.call("claude-code", "PostToolUse", payload, PATH="/their/own:/bin")
    limit, path, content = seen.read_text().splitlines()
    assert (limit, path, json.loads(content)) == ("unlimited", "/their/own:/bin", payload)


def test_a_plan_that_is_told_step_by_step_is_reported_whole(sh: Hook) -> None:
    with sh.daemon() as daemon:
        for number, title in ((2, "Say two"), (1, "Say one")):
            made = before(tool_name="TaskCreate", tool_input={"subject": title}, tool_response={"task": {"id": str(number)}})
            sh.call("claude-code", "PostToolUse", made)
        done = before(
            tool_name="TaskUpdate", tool_input={"taskId": "1", "status": "completed"}, tool_response={"success": True}
        )
        sh.call("claude-code", "PostToolUse", done)
        plan = daemon.requests[-1].params["plan"]
        assert plan == [{"title": "Say one", "status": "done"}, {"title": "Say two", "status": "pending"}]
        assert {each.params["event"] for each in daemon.requests} == {"plan"}
        sh.call("claude-code", "SessionEnd", before(reason="other"))
    assert not list((sh.state / "run" / "agent-plans" / "claude-code").iterdir())


@pytest.mark.parametrize(("word", "is_named"), [("app-server", False), ("gateway", False), ("exec", True)])
def test_a_process_that_serves_many_sessions_is_not_named(sh: Hook, word: str, is_named: bool) -> None:
    agent = 'import subprocess, sys; subprocess.run(sys.argv[2:], input=b\'{"session_id":"s"}\', check=True); input()'
    with sh.daemon() as daemon, sh.begun() as descriptor:
        process = subprocess.Popen(
            [sys.executable, "-c", agent, word, "/bin/sh", "-c", '"$0" codex Stop; exit $?', str(sh.hooks / "hook")],
            stdin=subprocess.PIPE, env=sh.env, pass_fds=[descriptor],
        )  # fmt: skip
        with process:
            daemon.wait_for("agent.event")
            process.communicate(b"\n")
    assert daemon.only("agent.event").get("pid") == (process.pid if is_named else None)

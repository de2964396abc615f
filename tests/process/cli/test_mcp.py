"""``clawlog mcp`` with the official client: what an agent is offered, what arrives, and that a stop is said in every answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, Implementation

from clawlog.cli.commands.mcp import server, tools
from clawlog.cli.commands.mcp import session as mcp_session
from clawlog.cli.commands.mcp.session import Agent, Session
from clawlog.cli.sources.mcp_library import MAJOR
from clawlog.locations import machine_id
from clawlog.protocol.agents import agent_task_id
from process.cli.conftest import Clawlog
from support.installation import LIMIT_S, Installation, is_running, wait_until

# ── The conversation ────────────────────────────────────────────────────────────────────────────────────────────────────


class Conversation:
    """An agent's side."""

    def __init__(self, client: Client, where: Installation) -> None:
        self.client = client
        self._where = where
        self.task_id = ""

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        answer = await self.client.call_tool(tool, arguments)
        assert isinstance(answer, CallToolResult)
        structure = answer.structured_content
        assert structure is not None
        assert structure["said"] == "\n\n".join(said(answer))
        assert structure["ok"] is not answer.is_error
        return answer

    async def done(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structure of an answer that has to be no error."""
        answer = await self.call(tool, **arguments)
        assert not answer.is_error, said(answer)
        assert answer.structured_content is not None
        return answer.structured_content

    async def failed(self, tool: str, **arguments: Any) -> str:
        """The words of an answer that has to be an error."""
        answer = await self.call(tool, **arguments)
        assert answer.is_error, said(answer)
        return "\n".join(said(answer))

    async def create(self, title: str, *steps: str) -> str:
        self.task_id = (await self.done("create_task", title=title, steps=list(steps)))["task_id"]
        self.arrived(self.task_id)
        return self.task_id

    def arrived(self, task_id: str) -> Any:
        """The task at the backend, once it and all that was reported are there."""
        with self._where.client() as client:
            assert client.flush(timeout_s=LIMIT_S, task_id=task_id).flushed
        return self._where.backend.task_answer(task_id)

    def press_stop(self, task_id: str, reason: str | None = None) -> None:
        body = {"mode": "soft_stop", "requested_by": "a person", **({"reason": reason} if reason else {})}
        self._where.post_to_backend(f"/api/tasks/{task_id}/interrupt", body)
        with self._where.client() as client:
            wait_until(lambda: client.get_task(task_id)["stop"]["state"] == "requested", "the daemon knows of the stop")


def said(answer: CallToolResult) -> list[str]:
    return [block.text for block in answer.content if block.type == "text"]


@asynccontextmanager
async def conversation(where: Installation, mode: str = "auto", **env: str) -> AsyncIterator[Conversation]:
    served = server.make({**where.env, **env}, os.getpid())
    about = Implementation(name="codex-mcp-client", version="0.171.0")
    async with Client(served, mode=mode, client_info=about) as client:
        yield Conversation(client, where)


# ── What an agent is offered ────────────────────────────────────────────────────────────────────────────────────────────


async def test_there_are_few_tools_with_plain_schemas(running: Installation) -> None:
    async with conversation(running) as talk:
        listed = (await talk.client.list_tools()).tools
        assert talk.client.instructions == tools.INSTRUCTIONS
    assert [tool.name for tool in listed] == [
        "create_task", "set_plan", "update_step", "heartbeat", "wait_for_person", "add_link", "update_task", "check_stop",
        "acknowledge_stop",
    ]  # fmt: skip
    for tool in listed:
        schema = json.dumps(tool.input_schema)
        assert not any(word in schema for word in ("$ref", "anyOf", '"null"', "$defs"))
        assert schema.startswith('{"type": "object"') or '"type": "object"' in schema
        assert all(each.get("description") for each in tool.input_schema["properties"].values())
        assert tool.annotations is not None
        assert (tool.annotations.destructive_hint, tool.annotations.open_world_hint) == (False, False)
        assert tool.annotations.read_only_hint is (tool.name == "check_stop")
    assert len(json.dumps([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed])) < 8_000


# ── What arrives ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_task_from_its_beginning_to_its_end(running: Installation, mode: str) -> None:
    async with conversation(running, mode) as talk:
        created = await talk.done("create_task", title="Tidy the cellar", steps=["sort", "sweep"], summary="Saturday")
        assert [(step["position"], step["title"]) for step in created["steps"]] == [(1, "sort"), (2, "sweep")]
        task_id = created["task_id"]
        await talk.done("update_step", step="sort", status="running")
        await talk.done("update_step", step=1, status="done", summary="three shelves", done=3, total=3, unit="shelves")
        planned = await talk.done("set_plan", steps=[{"title": "sort"}, {"title": "paint"}, {"title": "sweep"}])
        assert [step["title"] for step in planned["steps"]] == ["sort", "paint", "sweep"]
        await talk.done("add_link", url="https://example.org/before.jpg", name="before")
        waits = await talk.done("wait_for_person", question="Which colour?")
        assert "end your turn" in waits["said"]
        assert talk.arrived(task_id)["status"] == "waiting"
        await talk.done("update_step", step="paint", status="running")
        await talk.done("heartbeat", summary="the north wall", done=1, total=4, unit="walls")
        with running.client() as client:
            local = client.get_task(task_id)
        assert (local["status"], local["liveness"]["watch_pid"]) == ("running", os.getpid())
        assert (await talk.done("check_stop"))["said"] == "No stop is requested. Go on."
        ended = await talk.done("update_task", status="done", summary="tidy", task_id=task_id)
        assert (ended["stop_requested"], ended["stop_unknown_for"]) == (False, [])
        task = talk.arrived(task_id)
    assert (task["title"], task["status"], task["summary"]) == ("Tidy the cellar", "done", "tidy")
    assert [(step["title"], step["status"]) for step in task["steps"]] == [
        ("sort", "done"),
        ("paint", "running"),
        ("sweep", "pending"),
    ]
    assert [(link["url"], link["name"]) for link in task["links"]] == [("https://example.org/before.jpg", "before")]
    assert (task["metadata"]["agent"], task["metadata"]["agent_version"]) == ("codex", "0.171.0")


async def test_calls_made_at_once_take_effect_in_their_order(running: Installation) -> None:
    import asyncio

    async with conversation(running) as talk:
        task_id = await talk.create("Many", *map(str, range(20)))
        await asyncio.gather(*(talk.done("update_step", step=str(n + 1), status="done") for n in range(20)))
        events = talk.arrived(task_id)["events"]
    steps = [event["step_id"] for event in events if event["kind"] == "step_status"]
    assert steps == [f"{task_id}-{n + 1}" for n in range(20)]


async def test_a_task_of_the_environment_is_the_one_that_is_meant_and_the_parent_of_a_new_one(running: Installation) -> None:
    async with conversation(running) as around:
        outer = await around.create("Outer", "a")
        async with conversation(running, CLAWLOG_TASK_ID=outer) as talk:
            await talk.done("update_step", step="a", status="running")
            inner = await talk.create("Inner")
            assert talk.arrived(inner)["parent_task_id"] == outer
        assert around.arrived(outer)["steps"][0]["status"] == "running"


async def test_the_session_of_an_agent_with_hooks_is_the_parent_of_its_tasks(running: Installation) -> None:
    with running.client() as client:
        client.agent_event("claude-code", "s-1", "prompt", prompt="Tidy", cwd="/")
    session = agent_task_id(machine_id(), os.geteuid(), "claude-code", "s-1")
    async with conversation(running, CLAUDECODE="1", CLAUDE_CODE_SESSION_ID="s-1") as talk:
        task = talk.arrived(await talk.create("Its own"))
    assert (task["parent_task_id"], task["metadata"]["agent"]) == (session, "claude-code")


async def test_codex_names_its_session_with_each_call(running: Installation) -> None:
    """One process may serve several: none hears of the others' stops."""
    async with conversation(running) as talk:
        for session_id in ("x-1", "x-2"):
            with running.client() as client:
                client.agent_event("codex", session_id, "prompt", prompt=f"Work of {session_id}")
            about: Any = {"sessionId": session_id, "threadId": session_id}
            created = await talk.client.call_tool("create_task", {"title": f"Task of {session_id}"}, meta=about)
            assert created.structured_content is not None
            task_id = created.structured_content["task_id"]
            own = agent_task_id(machine_id(), os.geteuid(), "codex", session_id)
            assert talk.arrived(task_id)["parent_task_id"] == own
            if session_id == "x-1":
                talk.press_stop(task_id)
        other = await talk.client.call_tool("check_stop", {}, meta=about)
        assert other.structured_content is not None
        assert (other.structured_content["task_id"], other.structured_content["stops"]) == (task_id, [])


@pytest.mark.parametrize("parent", ["agent", "shell"])
async def test_the_evidence_is_the_agents_process_else_the_servers_own(running: Installation, parent: str) -> None:
    process = running.start(sys.executable, "-c", "input()", stdin=subprocess.PIPE) if parent == "agent" else None
    session = Session(running.env, process.pid if process else 1)
    created = session.call("create_task", {"title": f"Watched by {parent}"}, Agent())
    with running.client() as client:
        task = client.get_task(created.details["task_id"])
        assert task["liveness"]["watch_pid"] == (process.pid if process else os.getpid())
        if process is not None:  # an agent that goes away says nothing, and is lost at once
            running.end(process)
            wait_until(lambda: client.get_task(task["task_id"])["liveness"]["state"] == "lost", "the task is lost")


# ── A stop is said in every answer ──────────────────────────────────────────────────────────────────────────────────────

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("create_task", {"title": "Another"}),
    ("set_plan", {"steps": [{"title": "a"}]}),
    ("update_step", {"step": "a", "status": "running"}),
    ("heartbeat", {"summary": "on it"}),
    ("wait_for_person", {"question": "What now?"}),
    ("add_link", {"url": "https://example.org/"}),
    ("check_stop", {}),
    ("update_step", {"step": "nowhere", "status": "done"}),
    ("update_step", {"status": "finished"}),
    ("acknowledge_stop", {"task_id": "unknown"}),
    ("no_such_tool", {}),
]


async def test_a_stop_is_said_in_every_answer_until_it_is_acknowledged(running: Installation) -> None:
    async with conversation(running) as talk:
        task_id = await talk.create("Count", "a")
        talk.press_stop(task_id, "Enough\nfor today")
        for tool, arguments in CALLS:
            about = {} if tool in ("create_task", "acknowledge_stop", "no_such_tool") else {"task_id": task_id}
            answer = await talk.call(tool, **{**about, **arguments})
            first, structure = said(answer)[0], answer.structured_content
            assert first.startswith(f"STOP REQUESTED. A person asks you to stop task {task_id} (Count)"), tool
            assert '"Enough for today"' in first
            assert "call acknowledge_stop" in first
            assert structure is not None
            assert (structure["stop_requested"], [each["task_id"] for each in structure["stops"]]) == (True, [task_id])
            assert structure["stops"][0]["interrupt_id"]
        acknowledged = await talk.done("acknowledge_stop", summary="after a")  # though another task was created since
        assert (acknowledged["task_id"], acknowledged["stop_requested"]) == (task_id, False)
        assert "End your turn now" in acknowledged["said"]
        assert (await talk.done("check_stop"))["stop_requested"] is False
        task = talk.arrived(task_id)
    assert (task["status"], task["stop"]["ack_summary"]) == ("interrupted", "after a")
    assert task["stop"]["delivered_at"]
    assert task["stop"]["acknowledged_at"]


async def test_of_several_stops_the_one_has_to_be_named(running: Installation) -> None:
    async with conversation(running) as talk:
        first, second, _ = [await talk.create(name) for name in ("First", "Second", "Third")]
        for task_id in (first, second):
            talk.press_stop(task_id)
        words = await talk.failed("acknowledge_stop")
        assert f"say which: {first}, {second}" in words
        assert words.count("STOP REQUESTED") == 2
        left = await talk.done("acknowledge_stop", task_id=first)
        assert [each["task_id"] for each in left["stops"]] == [second]
        assert (await talk.done("acknowledge_stop"))["task_id"] == second


def test_a_bounded_number_of_tasks_is_looked_after(running: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "MAX_TASKS", 3)
    session = Session(running.env, os.getpid())
    ids = [session.call("create_task", {"title": str(n)}, Agent()).details["task_id"] for n in range(5)]
    assert [task.task_id for task in session.tasks] == ids[2:]
    session.call("heartbeat", {"task_id": "mistyped"}, Agent())
    assert [task.task_id for task in session.tasks] == ids[3:]


# ── Errors say what to do ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_wrong_with_a_call_is_said_with_what_to_do(running: Installation) -> None:
    async with conversation(running) as talk:
        assert "there is no task yet. Call create_task first" in await talk.failed("heartbeat")
        task_id = await talk.create("Errors", "a", "b")
        words = await talk.failed("update_step", step="c", status="done")
        assert "give an id, a position or a title of: 1 a; 2 b" in words
        words = await talk.failed("update_step", step="a", statu="done")
        assert "status: Field required" in words
        assert "statu: Extra inputs are not permitted" in words
        assert "The tool takes: task_id, done, total, unit, step (required), status (required), summary." in words
        assert "total and unit need done" in await talk.failed("heartbeat", total=3)
        assert "http" in await talk.failed("add_link", url="ftp://example.org")
        assert "check_stop and update_task" in await talk.failed("acknowledge_stop")
        assert "Call create_task first, or give the task_id" in await talk.failed("heartbeat", task_id="nowhere")
        assert (await talk.done("heartbeat", summary=None))["task_id"] == task_id  # null: as if left out
        await talk.done("update_task", status="failed", summary="no cellar")
        assert "call update_task with status running first" in await talk.failed("update_step", step="a", status="done")
        await talk.done("update_task", status="running")
        await talk.done("update_task", status="done")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"done": float("inf")}, "done: Input should be a finite number"),
        ({"done": 10**400}, "done: Input should be a valid number"),
        ({"summary": "\ud800\n\x1b[31m" + "x" * 100_000}, "The line was too long and is cut."),
        ({"task_id": "../../etc"}, "expected 1 to 64 letters"),
        ({"summary": {"text": "nested"}}, "summary: Input should be a valid string"),
    ],
)
def test_hostile_values_are_cut_or_refused(running: Installation, arguments: dict[str, Any], words: str) -> None:
    session = Session(running.env, os.getpid())
    assert not session.call("create_task", {"title": "Hostile \ud800"}, Agent()).failed
    (before,) = session.tasks
    assert words in session.call("heartbeat", arguments, Agent()).text
    assert session.tasks == [before]


async def test_without_a_daemon_what_is_reported_is_kept_for_the_next_one(fresh: Installation) -> None:
    async with conversation(fresh) as talk:
        created = await talk.done("create_task", title="Kept", steps=["a"])
        assert "kept in the spool, the next daemon delivers it" in created["said"]
        await talk.done("update_step", step="a", status="done")
        words = await talk.failed("heartbeat", summary="here")
        assert "Go on with your work; reporting works again when the daemon does" in words
        checked = await talk.done("check_stop")
        assert checked["said"].startswith("Not known")
        assert checked["stop_unknown_for"] == [created["task_id"]]
    fresh.start_daemon()
    with fresh.client() as client:
        wait_until(lambda: client.list_tasks()["tasks"], "the spool is drained")
        assert client.get_task(created["task_id"])["steps"][0]["status"] == "done"


# ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_program_starts_a_daemon_and_ends_with_its_input(fresh: Installation) -> None:
    program = str(Path(sys.executable).with_name("clawlog"))
    env = {"CLAWLOG_STATE_DIR": str(fresh.folder), "HOME": str(fresh.folder), "CLAWLOG_AUTOSTART": "1"}
    parameters = StdioServerParameters(command=program, args=["mcp"], env=env, cwd=fresh.folder)
    with (fresh.folder / "errors").open("w") as errors:
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            answer = await client.call_tool("create_task", {"title": "By the program"})
            assert not answer.is_error, answer
    with fresh.client() as caller:
        status = caller.daemon_status()
        (task,) = caller.list_tasks()["tasks"]
    os.kill(status["pid"], 15)
    wait_until(lambda: not is_running(status["pid"]), "the daemon ends")
    assert task["liveness"]["watch_pid"] == os.getpid()
    assert (fresh.folder / "errors").read_text() == ""


def test_somebody_at_a_terminal_is_told_what_it_waits_for_and_can_end_it(fresh: Installation) -> None:
    import pty
    import signal

    near, far = pty.openpty()
    process = fresh.start_clawlog("mcp", stdin=far, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"clawlog install mcp" in process.stderr.readline()
    wait_until(lambda: b"\0" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "it runs")
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) != 0
    os.close(near)
    os.close(far)


def test_it_is_an_extra_of_which_nothing_else_loads_anything(fresh: Installation, clawlog: Clawlog) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["mcp"] == [f"mcp>={MAJOR},<{MAJOR + 1}"]
    assert not any(each.startswith("mcp") for each in project["dependencies"])
    load = (
        "import sys\nfrom clawlog.cli import main\n"
        "for name in main.COMMANDS: main.cli.get_command(None, name)\n"
        "main.run(['mcp', '--help'])\nimport clawlog.scripting.fast, clawlog.agents.hook\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    env = {name: value for name, value in fresh.env.items() if not name.startswith("COV")}
    ran = subprocess.run([sys.executable, "-c", load], env=env, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    assert not {"mcp", "mcp_types", "pydantic", "jsonschema", "anyio"} & set(ran.stderr.split())

"""The examples in the documents do what they say: each is run as it stands, against a real daemon and a real backend."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clawlog.cli.commands.mcp.tools import TOOLS
from clawlog_backend.settings import Settings as BackendSettings
from clawlog_backend.settings import TraceReceiver
from support.daemon_process import DaemonProcess, environment
from support.running_backend import RunningBackend

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHOWN_URL = "http://localhost:8000"

JAVASCRIPT = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
NETCAT = pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def example(document: str, heading: str, language: str) -> str:
    """The first example under a heading."""
    return examples(document, heading, language)[0]


def examples(document: str, heading: str, language: str) -> list[str]:
    """All examples under a heading."""
    section = (DOCS / document).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found, f"{document}: no {language} example under {heading}"
    return found


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[str]:
    """The address of an embedded backend of its own."""
    port_file = folder / "port"
    arguments = ["--port", "0", "--port-file", str(port_file), "--database", str(folder / "backend.db")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "clawlog_backend", *arguments, env=environment(folder), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(port_file.exists):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    process.terminate()
    await process.wait()


@pytest.fixture
async def daemon(folder: Path, backend: str) -> AsyncIterator[DaemonProcess]:
    """A daemon where the documents look for one."""
    process = DaemonProcess(folder, XDG_RUNTIME_DIR=str(folder), CLAWLOG_BASE_URL=backend)
    process.socket_path = folder / "clawlog" / "clawlogd.sock"
    process.env["CLAWLOG_SOCKET"] = str(process.socket_path)
    yield await process.start()
    await process.clean_up()


async def run(folder: Path, command: list[str], program: str, url: str = SHOWN_URL, **env: str) -> str:
    """What a program prints; it has to end well, and say nothing on stderr."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**environment(folder, **env), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(program.replace(SHOWN_URL, url).encode())
    assert (process.returncode, err.decode()) == (0, ""), out.decode()
    return out.decode()


SHELL = ["sh", "-eu"]
PYTHON = [sys.executable, "-"]
NODE = ["node", "--input-type=module", "-"]


@pytest.mark.parametrize(
    ("heading", "language", "command", "printed"),
    [
        pytest.param("## In a shell", "sh", SHELL, '"healthy":true', marks=NETCAT, id="sh"),
        pytest.param("## In Python, without the library", "python", PYTHON, "Hello none\n", id="python"),
        pytest.param("## In JavaScript", "js", NODE, "Hello running\n", marks=JAVASCRIPT, id="js"),
    ],
)
async def test_the_wire_protocols_examples(
    daemon: DaemonProcess, folder: Path, heading: str, language: str, command: list[str], printed: str
) -> None:
    await daemon.call("task.create", title="Before")
    await daemon.call("daemon.flush", timeout_s=20)  # so that the backend is known, and asked within the example's second
    out = await run(folder, command, example("wire-protocol.md", heading, language), XDG_RUNTIME_DIR=str(folder))
    assert printed in out


@NETCAT
async def test_the_wire_protocols_example_of_a_task_that_changes(daemon: DaemonProcess, folder: Path) -> None:
    _, changing = examples("wire-protocol.md", "## In a shell", "sh")
    replies = [json.loads(line) for line in (await run(folder, SHELL, changing, XDG_RUNTIME_DIR=str(folder))).splitlines()]
    assert [reply for reply in replies if "error" in reply] == []
    task = await daemon.call("task.get", task_id="tr-1")
    assert [(step["title"], step["status"]) for step in task["steps"]] == [
        ("read", "done"),
        ("collect terms", "pending"),
        ("write", "done"),
        ("proofread", "pending"),
    ]
    assert (task["status"], task["waiting_since"], task["metadata"]["language"]) == ("running", None, "fr")
    assert task["links"] == [{"url": "https://git.example/pull/7", "name": "the pull request"}]


async def test_the_keys_for_zeromq_between_machines(folder: Path, new_process: Callable[..., DaemonProcess]) -> None:
    heading = "## ZeroMQ between machines"
    making, calling = examples("security.md", heading, "sh")
    (settings,) = examples("security.md", heading, "toml")
    server, caller = [(await run(folder, SHELL, making)).split() for _ in range(2)]
    secrets = {"/etc/clawlog/zmq-secret": server[1], "/etc/clawlog/zmq-caller-secret": caller[1]}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        meant = {"192.0.2.7:5555": f"127.0.0.1:{probe.getsockname()[1]}"}
    meant |= {"PUBLIC-HALF-OF-A-CALLER": caller[0], "PUBLIC-HALF-OF-THE-DAEMON": server[0]}
    for path, secret in secrets.items():
        own = folder / Path(path).name
        own.write_text(secret)
        own.chmod(0o600)
        meant[path] = str(own)

    def as_meant(text: str) -> str:
        return functools.reduce(lambda so_far, each: so_far.replace(*each), meant.items(), text)

    (folder / "clawlog.toml").write_text(as_meant(settings))
    daemon = await new_process().start("--config", str(folder / "clawlog.toml"))
    await daemon.call("task.create", title="From afar")
    assert "From afar" in await run(folder, SHELL, as_meant(calling))


@CURL
@JAVASCRIPT
async def test_the_http_examples_one_after_the_other(backend: str, folder: Path) -> None:
    shell = await run(folder, SHELL, example("http-api.md", "## In a shell", "sh"), backend)
    assert '"task_id":"build-7","status":"running"' in shell
    assert '"interrupt_requested":true,"mode":"soft_stop"' in shell
    python = await run(folder, PYTHON, example("http-api.md", "## In Python", "python"), backend)
    assert python.splitlines() == ["ok ", "rejected No step has the id 'nowhere'."]
    javascript = await run(folder, NODE, example("http-api.md", "## In JavaScript", "js"), backend)
    assert javascript == "Build interrupted stopped after the first step\n"
    shell = await run(folder, SHELL, example("http-api.md", "## Plans, questions, links", "sh"), backend)
    assert '"measure":{"done":318,"total":2480,"unit":"files"}' in shell
    assert '"attention":{"reason":"waiting"' in shell
    shell = await run(folder, SHELL, example("http-api.md", "## For people: close, acknowledge, many at once", "sh"), backend)
    assert '"status":"interrupted"}' in shell
    assert shell.endswith('{"results":[],"more":false}')


@JAVASCRIPT
async def test_the_stream_is_read_past_comments_and_messages_without_data(folder: Path) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        task = {"title": "Build", "status": "interrupted", "stop": {"acknowledged_at": "now", "ack_summary": "stopped"}}
        for message in (": still here", "id: 7", f"id: 8\nevent: task\ndata: {json.dumps(task)}"):
            await response.write(f"{message}\n\n".encode())
        return response

    async def acknowledge(request: web.Request) -> web.Response:
        return web.json_response({"task_id": request.path})

    app = web.Application()
    app.add_routes([web.get("/api/stream", stream), web.post("/api/tasks/build-7/interrupt/ack", acknowledge)])
    async with TestServer(app, host="127.0.0.1") as server:
        out = await run(folder, NODE, example("http-api.md", "## In JavaScript", "js"), f"http://127.0.0.1:{server.port}")
    assert out == "Build interrupted stopped\n"


async def test_getting_started_from_a_shell_and_from_python(daemon: DaemonProcess, folder: Path) -> None:
    where = {"CLAWLOG_SOCKET": str(daemon.socket_path)}
    await run(folder, SHELL, example("getting-started.md", "## Report a task", "sh"), **where)
    (task,) = (await daemon.call("task.list"))["tasks"]
    assert (task["title"], task["status"], task["steps"][0]["summary"]) == ("Nightly build", "done", "412 files")
    assert [step["title"] for step in task["steps"]] == ["fetch", "compile", "run the tests", "publish"]
    assert {step["status"] for step in task["steps"]} == {"done"}
    program = example("getting-started.md", "## Report a task", "python")
    await run(folder, PYTHON, program, **where)
    tasks = (await daemon.call("task.list"))["tasks"]
    assert [step["status"] for step in max(tasks, key=lambda each: each["created_at"])["steps"]] == ["done"] * 3


@pytest.mark.parametrize(
    ("heading", "language", "number"),
    [("## From a shell", "sh", 0), ("## From Python", "python", 0), ("## From Python", "python", 1)],
)
async def test_the_examples_for_agents(daemon: DaemonProcess, folder: Path, heading: str, language: str, number: int) -> None:
    program = examples("agents-and-skills.md", heading, language)[number]
    await run(folder, SHELL if language == "sh" else PYTHON, program, CLAWLOG_SOCKET=str(daemon.socket_path))
    tasks = (await daemon.call("task.list"))["tasks"]
    assert {task["status"] for task in tasks} == {"done"}
    assert {step["status"] for task in tasks for step in task["steps"]} == {"done"}


async def test_the_run_of_agents_that_speak_mcp(daemon: DaemonProcess, folder: Path) -> None:
    (program,) = examples("mcp.md", "## A run", "python")
    (shown,) = examples("mcp.md", "## A run", "text")
    printed = await run(folder, PYTHON, program, CLAWLOG_SOCKET=str(daemon.socket_path))

    def as_shown(text: str) -> str:
        """Without what is another at each run, and the page, which a daemon that has only just started does not know."""
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", re.sub(r" Its page: \S+", "", text)).strip()

    assert as_shown(printed) == as_shown(shown)
    (task,) = (await daemon.call("task.list"))["tasks"]
    assert (task["status"], task["steps"][0]["summary"]) == ("interrupted", "three shelves")


async def test_the_run_that_arrives_as_a_trace(folder: Path) -> None:
    (receiver,) = examples("opentelemetry.md", "## A run", "python")
    (program,) = examples("opentelemetry.md", "## A run", "sh")
    (shown,) = examples("opentelemetry.md", "## A run", "text")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listening = await asyncio.create_subprocess_exec(
        sys.executable, "-c", receiver, str(port), env=environment(folder), stdout=asyncio.subprocess.PIPE
    )
    traces = TraceReceiver(url=f"http://127.0.0.1:{port}/v1/traces")
    backend = RunningBackend(BackendSettings(database=str(folder / "backend.db"), port=0, traces=traces))
    daemon = DaemonProcess(folder)
    try:
        backend.start()
        daemon.env["CLAWLOG_BASE_URL"] = backend.url
        await daemon.start()
        await run(folder, SHELL, program, CLAWLOG_SOCKET=str(daemon.socket_path))
        await daemon.call("daemon.flush", timeout_s=10)
        backend.clock.ahead_ms += 3_000
        assert listening.stdout is not None
        async with asyncio.timeout(20):
            printed = [(await listening.stdout.readline()).decode() for _ in shown.strip().splitlines()]
    finally:
        listening.terminate()
        await listening.wait()
        await daemon.clean_up()
        backend.stop()
    named_after = re.compile(r"(clawlog\.task )\S+")  # the project, which is the checkout's
    assert named_after.sub(r"\1shop", "".join(line.rstrip() + "\n" for line in printed)) == shown


def test_the_table_of_the_tools_of_mcp_is_theirs() -> None:
    table = (DOCS / "mcp.md").read_text(encoding="utf-8").partition("## The tools")[2].partition("\n## ")[0]
    told = {}
    for name, takes in re.findall(r"^\| `(\w+)` \|(.*?)\|", table, re.MULTILINE):
        bare = re.sub(r"\([^)]*\)", "", takes)
        told[name] = {each: bool(star) for each, star in re.findall(r"`(\w+)`(\*?)", bare)}
    taken = {
        tool.name: {name: field.is_required() for name, field in tool.parameters.model_fields.items() if name != "task_id"}
        for tool in TOOLS.values()
    }
    assert told == taken

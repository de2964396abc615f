"""How fast a backlog reaches a plain server that is 50 ms away, against one request at a time in the same run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Caller, daemon, free_port

TASKS = 50
EVENTS = 2_500
FEW = 100  # those that are sent one at a time: each takes as long as the next
AWAY_S = 0.05


class PlainServer:
    """Takes every event by its own route, 50 ms after it was sent.

    Attributes:
        faults: What must not be: two requests of one task at a time, or events of one task in another order.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._last: dict[str, int] = defaultdict(int)
        self._under_way: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def serving(self, port: int) -> Iterator[None]:
        """Listens until the block is left."""
        app = web.Application()
        app.router.add_get("/openapi.json", self._document)
        app.router.add_post("/api/tasks", self._create)
        app.router.add_patch("/api/tasks/{task}/steps/{step}", self._step)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", port).start())
        thread = threading.Thread(target=self._loop.run_forever, name="plain server")
        thread.start()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _document(self, _: web.Request) -> web.Response:
        return web.json_response({"x-clawlog-contract": "standard"})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(AWAY_S)
        return web.json_response({"task_id": body["task_id"], "steps": body["steps"]}, status=201)

    async def _step(self, request: web.Request) -> web.Response:
        task, step = request.match_info["task"], int(request.match_info["step"].rsplit("-", 1)[1])
        if self._under_way[task]:
            self.faults.append(f"two requests of {task} at a time")
        self._under_way[task] += 1
        await asyncio.sleep(AWAY_S)
        self._under_way[task] -= 1
        if step != self._last[task] % 3 + 1:  # they are reported in turn
            self.faults.append(f"{task}: step {step} after {self._last[task]}")
        self._last[task] = step
        return web.json_response({"ok": True})


def run() -> list[Figure]:
    """Fills an outbox while the server is away, then lets it drain: few events one at a time, all of them as it is set."""
    slow, quick = _drained_s(FEW, CLAWLOG_HTTP_MAX_PARALLEL="1") / FEW, _drained_s(EVENTS) / EVENTS
    detail = f"{1 / quick:,.0f}/s against {1 / slow:,.0f}/s"
    name = f"{EVENTS:,} events over {TASKS} tasks to a plain server 50 ms away / one at a time"
    return [ratio(name, [quick], [slow], 1 / 6, "<=", detail)]


def _drained_s(events: int, **env: str) -> float:
    with TemporaryDirectory(prefix="clawlog-bench-") as name:
        home, port, server = Path(name), free_port(), PlainServer()
        env["CLAWLOG_BASE_URL"] = f"http://127.0.0.1:{port}"
        with daemon(home, **env) as sidecar, Caller(sidecar.address) as caller:
            for number in range(TASKS):
                caller.call(commands.create(f"bench{number}"))
                caller.pipeline(commands.updates(f"bench{number}", events // TASKS - 1))
        with server.serving(port), daemon(home, **env) as sidecar, Caller(sidecar.address) as caller:
            started = time.perf_counter()
            flushed = caller.call(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{"timeout_s":120}}')
            took_s = time.perf_counter() - started
        if b'"flushed":true' not in flushed or server.faults:
            raise RuntimeError(f"the backlog did not drain in order: {flushed.decode()} {server.faults[:3]}")
        return took_s

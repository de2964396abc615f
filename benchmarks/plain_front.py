"""A front before a real backend: it has no batch route for stops, or lets deliveries hang, as a benchmark wants it.

``python -m benchmarks.plain_front BACKEND PORT_FILE [--plain]``. ``POST /front/hang`` and ``POST /front/go-on`` begin and end
the time in which no delivery is answered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web


async def main() -> None:
    """Serves until it is ended."""
    backend, port_file, plain = sys.argv[1], Path(sys.argv[2]), "--plain" in sys.argv
    going_on = asyncio.Event()
    going_on.set()

    async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session:

        async def hang(_: web.Request) -> web.Response:
            going_on.clear()
            return web.Response()

        async def go_on(_: web.Request) -> web.Response:
            going_on.set()
            return web.Response()

        async def forward(request: web.Request) -> web.Response:
            if plain and request.path == "/api/control/poll":
                return web.json_response({"title": "not here"}, status=404)
            if request.path == "/api/events":
                await going_on.wait()
            headers = {name: request.headers[name] for name in ("Content-Type", "Idempotency-Key") if name in request.headers}
            async with session.request(
                request.method, backend + request.path_qs, data=await request.read(), headers=headers
            ) as answer:
                body = await answer.read()
                return web.Response(body=body, status=answer.status, content_type=answer.content_type)

        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/front/hang", hang)
        app.router.add_post("/front/go-on", go_on)
        app.router.add_route("*", "/{tail:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port_file.write_text(str(runner.addresses[0][1]))  # noqa: ASYNC240 - before anything is served
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

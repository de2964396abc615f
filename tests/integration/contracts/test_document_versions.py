"""A document that has an ETag is sent, and read, once for each version of it."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from support.foreign.beating import BeatingServer
from support.foreign.running import Front, served
from support.running_daemon import RunningDaemon, until


class Versioned:
    """Answers with a document of one version, or that it has not changed.

    Attributes:
        document: The document.
        version: Its ETag.
        sent: The versions that were sent.
        unchanged: How often it was said that it has not changed.
    """

    def __init__(self) -> None:
        self.document: dict[str, object] = {}
        self.version = ""
        self.sent: list[str] = []
        self.unchanged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if dict(scope["headers"]).get(b"if-none-match", b"").decode() == self.version:
            self.unchanged += 1
            await Response(status_code=304, headers={"ETag": self.version})(scope, receive, send)
            return
        self.sent.append(self.version)
        await JSONResponse(self.document, headers={"ETag": self.version})(scope, receive, send)


async def test_a_document_is_read_anew_only_when_its_version_is_another(daemon: RunningDaemon) -> None:
    server, versioned = BeatingServer(), Versioned()
    front = Front(server.app)
    front.answer = lambda method, path: versioned if path == "/openapi.json" else None
    whole = server.app.openapi()
    without_ack = {**whole, "paths": {path: each for path, each in whole["paths"].items() if not path.endswith("/ack")}}
    versioned.document, versioned.version = without_ack, '"1"'
    with served(front) as url:
        await daemon.call("task.create", title="T", steps=["one"], base_url=url)
        await until(lambda: versioned.unchanged >= 2)  # it is asked for again: it does not say all that is needed

        async def state() -> str:
            (lane,) = [each for each in (await daemon.call("daemon.status"))["backends"] if each["base_url"] == url]
            return str(lane["state"])

        assert (versioned.sent, await state()) == (['"1"'], "no_contract")
        assert server.held.tasks == {}
        versioned.document, versioned.version = whole, '"2"'
        await until(lambda: server.held.tasks)
        await daemon.flush()
        assert versioned.sent == ['"1"', '"2"']

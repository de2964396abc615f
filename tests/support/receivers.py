"""Those that notifications go to: a server of webhooks that checks signatures as its own library does, and a server of mail."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()

Answer = tuple[int, dict[str, str]]


class WebhookReceiver:
    """A real server on a free port of 127.0.0.1, to be used in a ``with`` block.

    Attributes:
        requests: What came, with whether each was accepted: ``(id, document, status)``.
        answer: Says what each is answered with; 204 at first.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any], int]] = []
        self.answer: Callable[[dict[str, Any]], Answer] = lambda _: (204, {})
        self._came = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hooks/clawlog?key=very-secret-part"

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        document = Webhook(SECRET).verify(body, headers)
        assert isinstance(document, dict)
        status, more = self.answer(document)
        with self._came:
            self.requests.append((headers["webhook-id"], document, status))
            self._came.notify_all()
        return status, more

    def wait_for(self, number: int) -> None:
        """Wait until so many requests came."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.requests) >= number, 20), self.requests

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The documents that were accepted, in order."""
        return [document for _, document, status in self.requests if status < 300]

    @property
    def said(self) -> list[str]:
        """Of each document that was accepted what it is of."""
        return [f"{each['type']} {each['data'].get('task', {}).get('task_id', '')}".strip() for each in self.taken]

    def start(self) -> None:
        """Listen, the second time where it did before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be down: whoever connects is refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()


class MailReceiver:
    """A real SMTP server on a free port of 127.0.0.1, to be used in a ``with`` block.

    Attributes:
        mails: What came.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """As Apprise names it."""
        assert self._controller is not None
        return f"mailto://127.0.0.1:{self._controller.port}?from=clawlog@example.com&to=mu@example.com&mode=insecure"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"

    def __enter__(self) -> Self:
        class OnAnyPort(Controller):
            def _trigger_server(self) -> None:
                self.port = self.server.sockets[0].getsockname()[1]
                super()._trigger_server()

        self._controller = OnAnyPort(self, hostname="127.0.0.1", port=0)
        self._controller.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        assert self._controller is not None
        self._controller.stop()


def text_of(mail: EmailMessage) -> str:
    """What a mail says."""
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())


def document_of(body: bytes) -> Any:
    return json.loads(body)

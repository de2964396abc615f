"""A plain server that takes whatever a peer sends: ``receiver.py PORT_FILE LOG [--port N] [--hang]``.

It answers ``{}``, and to the few requests whose answers a library reads what its server would. For each update that arrives
it appends a byte to the log. With ``--hang`` it takes connections and never answers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MARK = b"clawlog-peers-step"


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    log_fd = 0

    def answer(self) -> None:
        """Answers a request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if MARK in body:
            os.write(self.log_fd, b"x")
        status, told = 200, b"{}"
        if self.path.startswith("/api/csrf-token"):  # as a prefect server without that protection
            status, told = 422, b'{"detail": "CSRF protection is disabled."}'
        elif self.path.endswith("/set_state"):
            state = {"type": json.loads(body)["state"]["type"]}
            told = json.dumps({"state": state, "status": "ACCEPT", "details": {"type": "accept_details"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - http.server's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Says nothing."""


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port_file", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hang", action="store_true")
    arguments = parser.parse_args()
    if arguments.hang:
        listener = socket.create_server(("127.0.0.1", arguments.port))
        arguments.port_file.write_text(str(listener.getsockname()[1]))
        kept = []
        while True:
            kept.append(listener.accept())
    Handler.log_fd = os.open(arguments.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    arguments.port_file.write_text(str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()

"""nginx before two servers, as it is shipped for two backends, as a process of the user who runs the tests."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "systemd" / "replicas" / "nginx.conf", ROOT / "containers" / "replicas.nginx.conf")
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

_START_S = 10.0
# What stands around the shipped file in Debian's and in the image's own, for one process in a folder.
_AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/shipped.conf;
}}
"""


def missing() -> str | None:
    """Why it cannot be started; None where it can."""
    return None if PROGRAM else "nginx is not installed (Debian's package: nginx)"


class Nginx:
    """A balancer on a port of this machine; to be used in a ``with`` block.

    Args:
        shipped: The configuration.
        ports: Where the two servers that it names listen in truth.
        folder: Where its files go.
    """

    def __init__(self, shipped: Path, ports: Sequence[int], folder: Path) -> None:
        assert PROGRAM is not None, missing()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port: int = taken.getsockname()[1]
        text = shipped.read_text(encoding="utf-8")
        servers = re.findall(r"(?m)^    server (\S+:\d+)", text)
        for named, port in zip(servers, ports, strict=True):
            text = text.replace(f"server {named}", f"server 127.0.0.1:{port}")
        text, listens = re.subn(r"\blisten 8000;", f"listen 127.0.0.1:{self.port};", text)
        assert listens == 1
        (folder / "shipped.conf").write_text(text, encoding="utf-8")
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder), encoding="utf-8")
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "error.log"
        self._command = [PROGRAM, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(self._log)]
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> tuple[int, str]:
        """What ``nginx -t`` says of the configuration: its exit status, and all but that it is well."""
        done = subprocess.run([*self._command, "-t", "-q"], check=False, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stderr

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_S
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.port)):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise AssertionError(f"nginx did not start:\n{self._log.read_text()}")
                time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it, and cut all."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

"""A backend's certificate: what ``clawlog doctor`` says of one that nobody vouches for, and the setting that mends it."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawlog.cli.errors import BackendUnreachable
from clawlog.cli.sources.backend import Backend
from support import tls


@pytest.fixture
def certificates(tmp_path: Path) -> tls.Certificates:
    return tls.make(tmp_path)


@pytest.fixture
def backend(certificates: tls.Certificates) -> Iterator[str]:
    """A server over HTTPS that knows nothing."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def doctor(folder: Path, backend: str, **env: str) -> str:
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "CLAWLOG_AUTOSTART": "0", "CLAWLOG_BASE_URL": backend}
    command = [str(Path(sys.executable).with_name("clawlog")), "doctor"]
    return subprocess.run(command, env={**own, **env}, check=False, capture_output=True, text=True, timeout=30).stdout


def test_the_systems_authorities_are_read_for_https_alone(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[ssl.SSLContext] = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: read.append(make()) or read[-1])
    with pytest.raises(BackendUnreachable):
        Backend("http://127.0.0.1:9", {}).task("t")
    assert read == []
    with pytest.raises(BackendUnreachable, match="not trusted"):
        Backend(backend, {}).task("t")
    assert len(read) == 1


def test_it_names_the_certificates_fault_and_the_setting(folder: Path, backend: str, certificates: tls.Certificates) -> None:
    said = " ".join(doctor(folder, backend).split())
    assert "certificate of https://localhost" in said
    assert "not trusted" in said
    assert "http.ca_file" in said
    mended = " ".join(doctor(folder, backend, CLAWLOG_HTTP_CA_FILE=str(certificates.ca)).split())
    assert "not trusted" not in mended

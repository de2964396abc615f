"""The walls between and inside the packages hold: a forbidden import in a copy of the code makes ``lint-imports`` fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("client", "daemon", "backend")

FORBIDDEN = [
    ("client-core", "client/clawlog/errors.py", "import anyio"),
    ("client-alone", "client/clawlog/spool.py", "from clawlogd.outbox import queue"),
    ("client-layers", "client/clawlog/connection/address.py", "from clawlog.client import Client"),
    (
        "client-layers",
        "client/clawlog/protocol/vocabulary.py",
        "from clawlog.protocol.jsonrpc import decode\nimport clawlog.spool",
    ),
    ("cli-layers", "client/clawlog/cli/render/times.py", "from clawlog.cli.sources import daemon"),
    ("client-core", "client/clawlog/agents/codex.py", "import tomlkit"),
    ("cli-layers", "client/clawlog/cli/editing/places.py", "from clawlog.cli.sources import agents"),
    ("commands", "client/clawlog/cli/commands/flush.py", "from clawlog.cli.commands import show"),
    ("daemon-allow-list", "daemon/clawlogd/backends.py", "from clawlog.client import Client"),
    ("daemon-allow-list", "daemon/clawlogd/rpc/spool.py", "from clawlog.spool import keep"),
    ("daemon-alone", "daemon/clawlogd/model.py", "from clawlog_backend.domain import fields"),
    ("daemon-layers", "daemon/clawlogd/outbox/queue.py", "from clawlogd.tasks import registry"),
    ("daemon-layers", "daemon/clawlogd/delivery/lane.py", "from clawlogd.interrupts import watcher"),
    ("daemon-layers", "daemon/clawlogd/verbs/tasks.py", "from clawlogd.rpc import dispatcher"),
    ("daemon-pure", "daemon/clawlogd/delivery/policy.py", "import asyncio"),
    ("daemon-domain", "daemon/clawlogd/tasks/registry.py", "from clawlog.protocol.errors import RpcError"),
    ("daemon-layers", "daemon/clawlogd/unplaced.py", '"""A module that has no place."""'),
    ("backend-alone", "backend/clawlog_backend/domain/fields.py", "from clawlog.protocol import vocabulary"),
    ("backend-domain", "backend/clawlog_backend/domain/transitions.py", "from starlette.exceptions import HTTPException"),
    ("backend-layers", "backend/clawlog_backend/domain/transitions.py", "from clawlog_backend.http import problems"),
    ("backend-layers", "backend/clawlog_backend/storage/writer.py", "from clawlog_backend.live import control"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three packages and what lint is told of them."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for source in SOURCES:
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__", "dashboard"))
    return folder


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    env = {
        "PYTHONPATH": os.pathsep.join(str(folder / source) for source in SOURCES),
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
    }
    command = [program, "--no-logo", "--no-cache", "--contract", contract]
    return subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize(("contract", "path", "line"), FORBIDDEN)
def test_a_forbidden_import_fails(copy: Path, contract: str, path: str, line: str) -> None:
    file = copy / path
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        done = lint(copy, contract)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout or "not listed" in done.stdout or "unplaced" in done.stdout, done.stdout


@pytest.mark.parametrize("contract", sorted({contract for contract, _, _ in FORBIDDEN}))
def test_the_code_as_it_is_passes(copy: Path, contract: str) -> None:
    done = lint(copy, contract)
    assert done.returncode == 0, done.stdout

"""The examples for several backends: systemd has nothing to remark on the unit, and they say what the programs take."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clawlog_backend.main import build_migrate_parser, build_parser
from support.nginx import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "replicas" / "clawlog-backend@.service"
COMPOSE = ROOT / "containers" / "replicas.yaml"
HELD_S = 55  # the longest that a poll is held


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_has_nothing_to_remark(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / "clawlog-backend@8001.service"
    unit.write_text(text.replace("/usr/local/bin/clawlog ", f"{sys.executable} "), encoding="utf-8")
    command = ["systemd-analyze", "--no-pager", "verify", str(unit)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_starts_the_backend_with_flags_that_it_has() -> None:
    text = UNIT.read_text(encoding="utf-8")
    (started,) = re.findall(r"(?m)^ExecStart=(.*)$", text)
    program, command, *flags = shlex.split(started.replace("%i", "8001"))
    assert (program, command) == ("/usr/local/bin/clawlog", "backend")
    assert build_parser().parse_args(flags).port == 8001
    assert "\nEnvironment=CLAWLOG_DATABASE=postgresql://" in text


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def test_the_compose_file_migrates_once_and_then_starts_two_backends_with_flags_that_they_have() -> None:
    services = compose()["services"]
    word, *flags = services["migrate"]["command"]
    database = build_migrate_parser().parse_args(flags).database
    assert (word, services["migrate"]["restart"]) == ("migrate", "no")
    for name in ("backend-1", "backend-2"):
        given = build_parser().parse_args(services[name]["command"])
        assert (given.database, given.requests_per_second) == (database, 0), "the balancer is its only client"
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    build = services["backend-1"]["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file()
    for volume in services["balancer"]["volumes"]:
        assert (COMPOSE.parent / volume.partition(":")[0]).is_file()
    assert "password" not in str(database)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.parent.name)
def test_a_balancer_asks_two_backends_and_waits_longer_than_a_poll_is_held(file: Path) -> None:
    text = re.sub(r"#.*", "", file.read_text(encoding="utf-8"))
    servers = re.findall(r"\bserver ([\w.-]+:\d+)", text)
    if file.parent.name == "containers":
        assert {each.partition(":")[0] for each in servers} <= compose()["services"].keys()
    assert len(set(servers)) == 2
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", text)
    assert int(patience) > HELD_S
    assert "proxy_buffering off;" in text


def test_the_balancers_differ_in_where_their_backends_are_alone() -> None:
    # Only the first is run (tests/integration/backend/test_balancer.py).
    for_units, for_containers = (re.sub(r"#.*|\bserver [\w.-]+:\d+", "", each.read_text(encoding="utf-8")) for each in SHIPPED)
    assert for_units.split() == for_containers.split()

"""The metrics that Prometheus sees: on this machine alone, in its format, by its conventions, and only where asked for."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support.daemon_process import DaemonProcess, environment, run_to_end
from support.plain_server import PlainServer
from support.running_daemon import until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def scrape(url: str, accept: str = "", connector: aiohttp.BaseConnector | None = None) -> dict[str, Metric]:
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url, headers={"Accept": accept}) as reply:
        assert reply.status == 200
        text = await reply.text()
        parse = parse_openmetrics if reply.content_type.startswith("application/openmetrics") else parse_text
    return {family.name: family for family in parse(text)}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    samples = [each for family in families.values() for each in family.samples if each.name == name]
    (found,) = [each.value for each in samples if labels.items() <= each.labels.items()]
    return found


async def test_they_tell_of_tasks_events_and_backends(new_process: Callable[..., DaemonProcess], plain: PlainServer) -> None:
    process = await new_process().start("--metrics", "127.0.0.1:0")
    url = (await process.call("daemon.status"))["metrics"]
    await process.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    await process.call("daemon.flush", timeout_s=10)
    there = await scrape(url, OPENMETRICS)
    assert value(there, "clawlogd_healthy") == 1
    assert value(there, "clawlogd_tasks_live") == 1
    assert value(there, "clawlogd_outbox_accepted_events_total") == 1
    assert value(there, "clawlogd_backend_up", base_url=plain.url) == 1
    assert value(there, "clawlogd_backend_delivered_events_total", base_url=plain.url) == 1
    assert value(there, "clawlogd_backend_state", base_url=plain.url, clawlogd_backend_state="idle") == 1

    await plain.stop()
    await process.call("step.update", task_id="t", step=1, status="done")

    async def outage() -> bool:
        return not (await process.call("daemon.status"))["healthy"]

    await until(outage)
    gone = await scrape(url)
    assert value(gone, "clawlogd_healthy") == 0
    assert value(gone, "clawlogd_backend_up", base_url=plain.url) == 0
    assert value(gone, "clawlogd_outbox_events", base_url=plain.url, state="pending") == 1
    assert value(gone, "clawlogd_outbox_bytes") > 0
    assert value(gone, "clawlogd_backend_failed_attempts_total", base_url=plain.url) >= 3
    assert value(gone, "process_resident_memory_bytes") > 1_000_000


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_their_names_follow_the_conventions(new_process: Callable[..., DaemonProcess], accept: str) -> None:
    process = await new_process().start("--metrics", "127.0.0.1:0")
    families = await scrape((await process.call("daemon.status"))["metrics"], accept)
    own = {name: family for name, family in families.items() if not name.startswith("process_")}
    assert len(own) > 15
    for name, family in own.items():
        assert re.fullmatch(r"clawlogd_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith("."), name
        counted = family.type == "counter"
        assert all(each.name.endswith("_total") == counted for each in family.samples), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb)$", name)
    assert {family.type for family in own.values()} <= {"gauge", "counter", "info", "stateset"}


async def test_a_unix_socket_serves_them_to_this_user_alone(new_process: Callable[..., DaemonProcess], folder: Path) -> None:
    process = await new_process().start("--metrics", f"unix:{folder / 'metrics.sock'}")
    path = folder / "metrics.sock"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    families = await scrape("http://daemon/metrics", connector=aiohttp.UnixConnector(str(path)))
    assert value(families, "clawlogd_tasks") == 0
    await process.stop()
    assert not path.exists()


def listening_on_tcp(pid: int) -> set[str]:
    """The TCP sockets on which a process listens, by their numbers."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    own = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since the folder was read
            own.add(str(each.readlink()))
    return {row[9] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


async def test_they_are_served_where_they_are_wanted_and_nowhere_else(new_process: Callable[..., DaemonProcess]) -> None:
    process = await new_process().start()
    assert (await process.call("daemon.status"))["metrics"] is None
    assert listening_on_tcp(process.process.pid) == set()
    await process.stop()
    await process.start("--metrics", "127.0.0.1:0")
    assert len(listening_on_tcp(process.process.pid)) == 1


async def test_the_library_is_not_imported_by_a_daemon_without_metrics(folder: Path) -> None:
    program = (
        "import sys, clawlogd.main, clawlogd.app;"
        "print([name for name in ('prometheus_client', 'aiohttp.web', 'zmq') if name in sys.modules])"
    )
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment(folder), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await ran.communicate()
    assert out.strip() == b"[]"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("0.0.0.0:9464", "metrics: 0.0.0.0:9464 can be reached by others, and wants no token; expected a loopback address"),
        ("[::]:9464", "metrics: [::]:9464 can be reached by others"),
        ("192.0.2.7:9464", "metrics: 192.0.2.7:9464 can be reached by others"),
        ("example.org:9464", "metrics: 'example.org:9464' is not an address; expected a loopback address"),
        ("127.0.0.1", "metrics: '127.0.0.1' names no port"),
        ("127.0.0.1:99999", "metrics: '127.0.0.1:99999' names no port"),
        ("unix:relative", "metrics: 'unix:relative' names no port; expected a loopback address and a port"),
    ],
)
async def test_an_address_that_others_can_reach_is_refused(folder: Path, address: str, message: str) -> None:
    status, out, err = await run_to_end(folder, "--metrics", address)
    assert (status, out) == (2, "")
    assert err.startswith(f"clawlogd: flag: {message}")
    assert not (folder / "state").exists()


async def test_a_port_that_is_taken_is_said_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, err = await run_to_end(folder, "--metrics", address)
    assert status == 69
    assert err == f"clawlogd: metrics: {address}: cannot be bound: Address already in use; choose another with --metrics\n"


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0"])
async def test_other_names_of_this_machine_will_do(new_process: Callable[..., DaemonProcess], address: str) -> None:
    if address.startswith("[") and not _has_ipv6_loopback():
        pytest.skip("this machine has no ::1")
    process = await new_process().start("--metrics", address)
    assert value(await scrape((await process.call("daemon.status"))["metrics"]), "clawlogd_tasks") == 0


def _has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False

"""What Prometheus and Grafana are given: metrics keep to promtool's rules, and the dashboard asks for none that is not."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clawlog_backend.settings import Settings, TraceReceiver
from support.daemon_process import DaemonProcess
from support.running_backend import RunningBackend

DASHBOARD = Path(__file__).resolve().parents[3] / "docs" / "grafana" / "clawlog.json"
PROMTOOL = shutil.which("promtool")
LIBRARYS_OWN = re.compile(r"process_|\w+_created$")
"""What prometheus_client adds by itself."""
BAD_UNITS = re.compile(r"_(ms|millis|milliseconds|minutes|hours|days|kb|kib|kilobytes|mb|mib|megabytes|percent|celsius)(_|$)")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a backend and a daemon say once each has done something."""
    folder = tmp_path_factory.mktemp("monitored")
    traces = TraceReceiver(url="http://127.0.0.1:9/v1/traces", resource={"service.name": "clawlog"})
    backend = RunningBackend(Settings(database=str(folder / "backend.db"), port=0, traces=traces))
    backend.start()

    async def ask() -> dict[str, str]:
        daemon = await DaemonProcess(folder, CLAWLOG_BASE_URL=backend.url).start("--metrics", "127.0.0.1:0")
        try:
            await daemon.call("task.create", title="T", task_id="t", steps=["one"])
            await daemon.call("daemon.flush", timeout_s=10)
            urls = {"daemon": (await daemon.call("daemon.status"))["metrics"], "backend": f"{backend.url}/metrics"}
            async with aiohttp.ClientSession() as session:
                return {name: await (await session.get(url)).text() for name, url in urls.items()}
        finally:
            await daemon.clean_up()

    try:
        yield asyncio.run(ask())
    finally:
        backend.stop()


def samples(text: str) -> dict[str, set[str]]:
    """The names of all samples, each with the names of its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("which", ["backend", "daemon"])
def test_promtool_has_nothing_to_say(answers: dict[str, str], which: str) -> None:
    if PROMTOOL is None:
        pytest.skip("wants promtool (Debian's prometheus)")
    ran = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=answers[which], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize(("which", "prefix"), [("backend", "clawlog_backend_"), ("daemon", "clawlogd_")])
def test_every_metric_keeps_to_the_rules_that_promtool_has(answers: dict[str, str], which: str, prefix: str) -> None:
    families = [each for each in text_string_to_metric_families(answers[which]) if not LIBRARYS_OWN.match(each.name)]
    assert len({each.name for each in families}) == len(families) > 10
    for family in families:
        names = {each.name for each in family.samples}
        assert family.name.startswith(prefix), family.name
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name), family.name
        assert family.documentation.endswith("."), f"{family.name} has no help"
        assert family.type in {"counter", "gauge", "histogram"}, f"{family.name} is {family.type}"
        assert not BAD_UNITS.search(family.name), f"{family.name} is not in a base unit"
        assert not re.search(rf"_{family.type}(_|$)", family.name), f"{family.name} names its own type"
        if family.type == "counter":
            assert all(name.endswith("_total") for name in names), names
        else:
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket")), family.name
        if family.type != "histogram":
            assert not any({"le", "quantile"} & set(each.labels) for each in family.samples), family.name
        assert not any({"task", "task_id", "step_id", "title"} & set(each.labels) for each in family.samples), family.name


# ── The dashboard ───────────────────────────────────────────────────────────────────────────────────────────────────────


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """All that it asks Prometheus for, with the variables filled in."""
    whole = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += re.findall(r"label_values\((\w+),", json.dumps(whole["templating"]))
    return [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in asked]


def test_every_metric_and_label_that_the_dashboard_asks_for_is_there(answers: dict[str, str]) -> None:
    there = samples(answers["backend"]) | samples(answers["daemon"])
    asked = {name for query in queries() for name in re.findall(r"\bclawlog\w*", query)}
    assert asked - there.keys() == set()
    of_prometheus = {"instance", "job"}
    for query in queries():
        labels = set().union(*(there[name] for name in re.findall(r"\bclawlog\w*", query))) | of_prometheus
        named = re.findall(r"(\w+)\s*=~?\s*\"", query) + re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query)))
        assert set(named) <= labels, query


def test_the_dashboard_shows_every_metric_of_ours(answers: dict[str, str]) -> None:
    shown = {name for query in queries() for name in re.findall(r"\bclawlog\w*", query)}
    families = [each for text in answers.values() for each in text_string_to_metric_families(text)]
    left_out = {
        each.name
        for each in families
        if not LIBRARYS_OWN.match(each.name) and not shown & {sample.name for sample in each.samples}
    }
    assert left_out == {
        "clawlogd_build_info", "clawlogd_connections", "clawlogd_tasks", "clawlogd_backend_state", "clawlogd_outbox_max_events",
        "clawlogd_outbox_accepted_events", "clawlog_backend_notifications",
    }  # fmt: skip


def test_the_dashboard_can_be_imported() -> None:
    whole = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert (whole["uid"], whole["title"], whole["schemaVersion"] >= 36) == ("clawlog", "ClawLog", True)
    assert "id" not in whole
    assert len({panel["id"] for panel in whole["panels"]}) == len(whole["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels():
        assert panel["type"] in {"stat", "timeseries"}
        assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {"${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        assert panel["title"]


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    if PROMTOOL is None:
        pytest.skip("wants promtool (Debian's prometheus)")
    rules = [{"record": f"q{n}", "expr": query} for n, query in enumerate(queries())]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    ran = subprocess.run(
        [PROMTOOL, "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr

"""How the export of traces is set, and what is loaded for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import aiohttp
import pytest

from clawlog_backend import main
from clawlog_backend.otel import environment, library
from clawlog_backend.settings import SettingsError, TraceReceiver
from support.exported import SETTLED_MS, Exporting, ended, reach
from support.otlp_receiver import OtlpReceiver
from support.running_backend import Api, RunningBackend


async def test_who_begins_to_export_does_not_tell_the_past(
    receiver: OtlpReceiver, exporting: Exporting, start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    without = start_backend()
    await ended(Api(session, without.url), "old")
    without.stop()
    backend, api = exporting()
    await reach(api, traces_waiting=0)
    await ended(api, "new")
    backend.clock.ahead_ms += SETTLED_MS
    await receiver.of_tasks("new")
    assert [each.attributes["clawlog.task.id"] for each in receiver.spans] == ["new"]


def test_it_is_an_extra_of_which_nothing_else_loads_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (required,) = project["optional-dependencies"]["otel"]
    assert not any(each.startswith("opentelemetry") for each in project["dependencies"])
    load = (
        "import sys\nfrom clawlog_backend import main\nfrom clawlog_backend.http.server import BackendServer\n"
        f"from clawlog_backend.settings import Settings\nBackendServer(Settings(database={str(tmp_path / 'x.db')!r}))\n"
        "from clawlog.cli import main as client\n"
        "for name in client.COMMANDS: client.cli.get_command(None, name)\n"
        "import clawlog.scripting.fast, clawlogd.app\n"
        "print(*sys.modules, sep='\\n')"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ran = subprocess.run([sys.executable, "-c", load], env=env, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert not {each for each in loaded if each.startswith(("opentelemetry.proto", "google", "clawlog_backend.otel"))}

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(library.metadata, "version", missing)
    assert main.main(["--otel", "--database", str(tmp_path / "backend.db")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "clawlog backend: --otel needs the library opentelemetry-proto, which is not installed; install it: "
    )
    assert f"-m pip install '{required}'`" in said
    assert not (tmp_path / "backend.db").exists()


@pytest.mark.parametrize(
    ("environ", "endpoint", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, "sent as http/protobuf alone"),
        ({}, "ftp://x", "expected one such as http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, None, "expected one such as http://localhost:4318"),
        ({}, "http://me:secret@host", "put them into OTEL_EXPORTER_OTLP_HEADERS"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, None, "expected NAME=VALUE"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=secret%0d%0ax: y"}, None, "holds what no header can be"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "never"}, None, "expected milliseconds"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, None, "expected gzip or none"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said_and_no_secret(
    environ: dict[str, str], endpoint: str | None, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        environment.receiver(environ, endpoint)
    assert "secret" not in str(refused.value)


def test_what_is_said_of_traces_goes_before_what_is_said_of_all() -> None:
    every = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:1/base/",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=by%20attribute,a=b",
    }
    found = environment.receiver(every)
    assert (found.url, found.timeout_s) == ("http://all:1/base/v1/traces", 5.0)
    assert found.resource == {"service.name": "by attribute", "a": "b"}
    of_traces = every | {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:2/exactly",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1500",
        "OTEL_SERVICE_NAME": "named",
    }
    found = environment.receiver(of_traces)
    assert (found.url, found.timeout_s, found.resource["service.name"]) == ("http://traces:2/exactly", 1.5, "named")
    assert environment.receiver(of_traces, "http://flag:3").url == "http://flag:3/v1/traces"
    assert environment.receiver({}).url == "http://localhost:4318/v1/traces"
    assert environment.receiver({}).resource == {"service.name": "clawlog"}


def test_the_settings_file_says_it_too_and_flags_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "backend.toml"
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    def said(text: str, *flags: str) -> TraceReceiver | None:
        file.write_text(text, encoding="utf-8")
        return main._traces(main.build_parser().parse_args(["--config", str(file), *flags]))  # noqa: SLF001 - no server is wanted

    whole = '[otel]\nendpoint = "http://there:1"\nqueue = 7'
    found = said(whole)
    assert found is not None
    assert (found.url, found.most_waiting) == ("http://there:1/v1/traces", 7)
    found = said(whole, "--otel", "http://flag:2", "--otel-queue", "9")
    assert found is not None
    assert (found.url, found.most_waiting) == ("http://flag:2/v1/traces", 9)
    assert said("") is None
    assert said("[otel]\nenabled = false") is None
    for wrong, message in {
        "queue = 0": "queue does not fit",
        "endpoint = 1": "endpoint does",
        "url = 1": "no setting 'url'",
    }.items():
        with pytest.raises(SettingsError, match=message):
            said(f"[otel]\n{wrong}")

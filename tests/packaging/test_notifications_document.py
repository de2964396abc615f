"""The document on notifications: its run is a real one, and its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clawlog_backend.main import main
from clawlog_backend.notify.configuration import _Rule, _Section, _Target
from clawlog_backend.notify.rules import NotifiedEvent
from support.backend_process import BackendProcess

DOCUMENT = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")


def test_the_run_is_a_real_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = example("## Set it up", "toml")
    shell = example("## Set it up", "sh")
    program = example("## A run", "python")
    said = example("## A run", "text")
    printed = example("## A run", "json")
    make_key = shell.splitlines()[0]
    subprocess.run(["sh", "-c", make_key], cwd=tmp_path, check=True)
    program = program.replace(
        'HTTPServer(("127.0.0.1", 9000), Receiver).serve_forever()',
        'server = HTTPServer(("127.0.0.1", 0), Receiver)\nprint(server.server_port, flush=True)\nserver.serve_forever()',
    )
    receiver = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    backend = BackendProcess(tmp_path, config=tmp_path / "backend.toml")
    try:
        port = receiver.stdout.readline().strip()
        quick = settings.replace("9000", port) + 'gather = "1s"\n'
        (tmp_path / "backend.toml").write_text(quick, encoding="utf-8")
        assert main(["notify-test", "--config", str(tmp_path / "backend.toml")]) == 0
        assert capsys.readouterr().out.strip() == said.strip()
        backend.start()
        task = backend.create("Nightly backup", "Upload", task_id="backup-7", metadata={"project": "infra", "host": "db-01"})
        task.step(1, "failed", "no space left on device")
        lines = [receiver.stdout.readline()]
        while lines[-1] != "}\n" or '"failed"' not in "".join(lines):
            lines.append(receiver.stdout.readline())
            assert lines[-1], "it ended"
    finally:
        backend.stop()
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()
    failed = "".join(lines).partition("}\n}\n")[2]
    assert as_shown(failed) == as_shown(printed), failed


def example(heading: str, language: str) -> str:
    """The one example in this language below a heading."""
    part = DOCUMENT.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", part, re.MULTILINE | re.DOTALL)[0]


def as_shown(text: str) -> str:
    """Without what is another at each run."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)).strip()


@pytest.mark.parametrize(
    ("table", "model"),
    [("[notifications]", _Section), ("[[notifications.target]]", _Target), ("[[notifications.rule]]", _Rule)],
)
def test_a_table_of_settings_is_that_of_the_code(table: str, model: type) -> None:
    rows = DOCUMENT.partition(f"| `{table}` |")[2].partition("\n\n")[0].splitlines()[2:]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    known = [name for name in model.model_fields if name not in {"target", "rule"}]  # type: ignore[attr-defined]
    assert sorted(told) == sorted(known)


def test_the_table_of_events_is_that_of_the_code() -> None:
    rows = DOCUMENT.partition("| event | is told when |")[2].partition("\n\n")[0].splitlines()[2:]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])} == set(NotifiedEvent)

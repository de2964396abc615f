"""Log events: one line each in the chosen form, with their fields."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from clawlogd.logs import Log, LogFormat, configure


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """The root logger as it was, after the test."""
    root, own = logging.getLogger(), logging.getLogger("clawlogd")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def fault() -> ZeroDivisionError:
    try:
        return 1 / 0  # type: ignore[return-value]
    except ZeroDivisionError as error:
        return error


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        (7, "7"),
        (None, "None"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ("line\nbreak", '"line break"'),
        ("\x1b[2J\x9b\u202ered\ud800", "red"),
        pytest.param(2**20000, '"(int that cannot be written)"', id="an integer of 6021 digits"),
        ('"', r'"\""'),
        ("部署", "部署"),
    ],
)
def test_a_field_is_quoted_where_it_must_be_and_never_breaks_the_line(
    capsys: pytest.CaptureFixture[str], value: object, written: str
) -> None:
    configure("info", "text")
    Log("part", backend="http://x").info("happened", value=value)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f" INFO    clawlogd.part happened backend=http://x value={written}")


def test_json_has_every_field_and_the_trace_of_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    Log("part").error("broken", exc_info=fault(), task_id="部")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert {"level": "error", "logger": "clawlogd.part", "event": "broken", "task_id": "部"}.items() <= entry.items()
    assert "ZeroDivisionError" in entry["trace"]


def test_each_line_for_the_journal_has_its_priority(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", "journal")
    log = Log("part")
    log.debug("detail")
    log.warning("look", n=1)
    log.error("broken", exc_info=fault())
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["<7>detail", "<4>look n=1"]
    assert lines[2] == "<3>broken"
    assert all(line.startswith("<3>") for line in lines[2:])
    assert len(lines) > 4


@pytest.mark.parametrize("style", ["text", "json", "journal"])
def test_what_is_below_the_level_and_what_libraries_tell_is_left_out(
    capsys: pytest.CaptureFixture[str], style: LogFormat
) -> None:
    configure("warning", style)
    Log("part").info("too little")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("asyncio").warning("a library's warning")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "a library's warning" in lines[0]


def test_a_line_that_the_disk_does_not_take_is_left_out_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullAtFirst(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                self.full = False
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = FullAtFirst()
    monkeypatch.setattr("sys.stderr", stream)
    configure("info", "text")
    for event in ("first", "second"):
        Log("part").info(event)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("clawlogd.part second")

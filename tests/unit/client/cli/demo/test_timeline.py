"""What the demo shows, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from clawlog.cli.commands.demo.timeline import Actor, Check, Timeline

LONG = "update_status.py --step-id 1 --step-status done --step-summary 'forty files' → 0, 23 ms and a good deal more to say"


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return


def test_a_line_says_when_who_and_what_without_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline(as_json=False)
    timeline.show(Actor.PERSON, "presses Stop")
    timeline.show(Actor.DEMO, LONG)
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[1:] == ["s", "person", "presses", "Stop"]
    assert second.endswith(LONG)


def test_the_result_marks_what_holds_and_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline(as_json=False)
    timeline.conclude([Check(holds=True, what="this"), Check(holds=False, what="that")])
    printed = capsys.readouterr().out
    assert "✓ this" in printed
    assert "✗ that" in printed
    assert "Something did not arrive" in printed


def test_programs_get_one_document_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline(as_json=True)
    timeline.show(Actor.BACKEND, "回答", pid=4242)
    timeline.conclude([Check(holds=True, what="this")])
    told, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["event"], told["actor"], told["text"], told["pid"]) == ("timeline", "backend", "回答", 4242)
    assert (result["event"], result["ok"], result["checks"]) == ("result", True, [{"holds": True, "what": "this"}])

"""A plan that an agent tells one step at a time is kept whole, whoever overtakes whom."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from clawlog.agents import session_plan
from clawlog.agents.agent import PlannedStep, StepChange


def change(folder: Path, step: StepChange, at: float = 1.0, session: str = "s-1") -> tuple[PlannedStep, ...] | None:
    with session_plan.changed(str(folder), "claude-code", session, step, at) as plan:
        return plan


def file_of(folder: Path, session: str = "s-1") -> Path:
    return folder / "run" / session_plan.FOLDER / "claude-code" / session


def test_steps_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for key in ("10", "2", "x", "1"):
        plan = change(tmp_path, StepChange(key, f"Step {key}", "pending"))
    assert plan is not None
    assert [step.title for step in plan] == ["Step 1", "Step 2", "Step 10", "Step x"]


def test_of_two_words_on_one_step_the_later_holds_whichever_comes_first(tmp_path: Path) -> None:
    assert change(tmp_path, StepChange("1", status="done"), at=5.0) is None  # of a step whose title is not known
    change(tmp_path, StepChange("1", status="running"), at=4.0)
    assert change(tmp_path, StepChange("1", "Say one", "pending"), at=1.0) == (PlannedStep("Say one", "done"),)
    assert change(tmp_path, StepChange("1", "Say 1"), at=6.0) == (PlannedStep("Say 1", "done"),)


def test_a_step_without_a_title_yet_and_a_removed_one_are_left_out(tmp_path: Path) -> None:
    change(tmp_path, StepChange("1", "One", "pending"))
    assert change(tmp_path, StepChange("2", status="running")) == (PlannedStep("One", "pending"),)
    assert change(tmp_path, StepChange("1", is_removed=True)) == ()


def test_the_next_change_waits_until_the_plan_of_this_one_is_sent(tmp_path: Path) -> None:
    sent: list[int] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        plan = change(tmp_path, StepChange("2", "Two", "pending"))
        assert plan is not None
        sent.append(len(plan))

    with session_plan.changed(str(tmp_path), "claude-code", "s-1", StepChange("1", "One", "pending"), 1.0) as plan:
        thread = threading.Thread(target=second)
        thread.start()
        begun.wait()
        assert plan is not None
        sent.append(len(plan))
    thread.join()
    assert sent == [1, 2]


def test_a_damaged_file_is_begun_anew_and_a_link_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path, StepChange("1", "One", "pending"))
    for damage in (b"{", b"[]", b'{"1": 5}', b'{"1": {"colour": "red"}}'):
        file_of(tmp_path).write_bytes(damage)
        assert change(tmp_path, StepChange("2", "Two", "pending")) == (PlannedStep("Two", "pending"),)
    other = tmp_path / "other"
    other.write_text("{}")
    file_of(tmp_path).unlink()
    file_of(tmp_path).symlink_to(other)
    assert change(tmp_path, StepChange("1", "One", "pending")) is None
    assert other.read_text() == "{}"


def test_only_the_owner_reads_it_and_nothing_but_titles_is_in_it(tmp_path: Path) -> None:
    change(tmp_path, StepChange("1", "One" * 200, "pending"))
    assert file_of(tmp_path).stat().st_mode & 0o077 == 0
    (step,) = json.loads(file_of(tmp_path).read_bytes()).values()
    assert len(step.pop("title")) == 200
    assert step == {"titled_at": 1.0, "status": "pending", "status_at": 1.0, "is_removed": False}


def test_a_plan_beyond_all_bounds_is_not_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_plan, "_MAX_STEPS", 3)
    plans = [change(tmp_path, StepChange(str(number), "x", "pending")) for number in range(4)]
    assert plans[2] is not None
    assert plans[3] is None


def test_the_end_of_a_session_removes_its_plan_and_those_long_forgotten(tmp_path: Path) -> None:
    for session in ("s-1", "s-2", "s-3"):
        change(tmp_path, StepChange("1", "One", "pending"), session=session)
    os.utime(file_of(tmp_path, "s-2"), (0, 0))
    session_plan.forget(str(tmp_path), "claude-code", "s-1")
    assert [path.name for path in file_of(tmp_path).parent.iterdir()] == ["s-3"]

"""What a caller may call a step."""

from __future__ import annotations

import pytest

from clawlogd.errors import StepChoice, UnknownStep
from clawlogd.model import Step, Task
from clawlogd.tasks.steps import find_step

TASK = Task(
    "t",
    "T",
    "http://x",
    0,
    steps=(
        Step("t-1", 1, "检查本地环境"),
        Step("3", 2, "编写配置文件"),
        Step("t-3", 3, "2"),
        Step("t-4", 4, "twice"),
        Step("t-5", 5, "twice"),
        Step("t-6", 6, "t-1"),
    ),
)


@pytest.mark.parametrize(
    ("wanted", "position"),
    [
        ("t-1", 1),  # an id, although it is also the sixth's title
        (1, 1),
        ("1", 1),
        ("检查本地环境", 1),
        ("3", 2),  # an id before a position
        (3, 3),
        ("2", 2),  # a position before a title
        ("06", 6),
        ("t-4", 4),
    ],
)
def test_an_id_goes_before_a_position_and_a_position_before_a_title(wanted: int | str, position: int) -> None:
    assert find_step(TASK, wanted).position == position


@pytest.mark.parametrize("wanted", [0, -1, 7, "0", "7", "٣", "²", "", " 1", "检查", "T-1", "CHECK"])
def test_nothing_is_guessed(wanted: int | str) -> None:
    with pytest.raises(UnknownStep, match="No step"):
        find_step(TASK, wanted)


def test_an_ambiguous_title_is_refused_with_the_choices() -> None:
    with pytest.raises(UnknownStep, match="2 steps have the title 'twice'") as refused:
        find_step(TASK, "twice")
    assert refused.value.choices == tuple(StepChoice(step.step_id, step.position, step.title) for step in TASK.steps)


def test_a_task_without_steps_says_so() -> None:
    with pytest.raises(UnknownStep, match="the task has no steps"):
        find_step(Task("t", "T", "http://x", 0), 1)

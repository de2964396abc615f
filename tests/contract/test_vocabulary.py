"""The protocol's words and bounds are written once: whoever has copies of its own has the same ones."""

from __future__ import annotations

from enum import EnumType
from typing import get_args

import pydantic
import pytest

from clawlog.connection.results import StopPhase
from clawlog.protocol import types, vocabulary
from clawlog_backend.domain import events, fields, views
from clawlogd import model
from clawlogd.interrupts import state
from clawlogd.liveness import evidence


@pytest.mark.parametrize(
    ("of_the_type_checker", "words"),
    [
        (types.ReportedTaskStatus, vocabulary.REPORTED_TASK_STATUSES),
        (types.TaskStatus, vocabulary.TASK_STATUSES),
        (types.StepStatus, vocabulary.STEP_STATUSES),
    ],
    ids=["reported task status", "task status", "step status"],
)
def test_the_type_checker_knows_the_same_words(of_the_type_checker: object, words: tuple[str, ...]) -> None:
    assert get_args(of_the_type_checker) == words


@pytest.mark.parametrize(
    ("enumeration", "words"),
    [
        (model.TaskStatus, vocabulary.TASK_STATUSES),
        (model.Evidence, vocabulary.EVIDENCE),
        (state.StopPhase, vocabulary.INTERRUPT_STATES),
        (evidence.LifeState, vocabulary.LIVENESS_STATES),
        (StopPhase, vocabulary.INTERRUPT_STATES),
        (fields.ReportedStatus, vocabulary.REPORTED_TASK_STATUSES),
        (fields.StepStatus, vocabulary.STEP_STATUSES),
        (fields.TaskStatus, (*vocabulary.TASK_STATUSES, "stale")),
        (views.Liveness, (*vocabulary.LIVENESS_STATES, "unknown")),
        (fields.Evidence, vocabulary.EVIDENCE),
    ],
    ids=lambda value: f"{value.__module__}.{value.__name__}" if isinstance(value, EnumType) else "",
)
def test_enumerations_have_the_same_words(enumeration: EnumType, words: tuple[str, ...]) -> None:
    assert tuple(member.value for member in enumeration) == words


def test_the_same_words_are_ended() -> None:
    assert {each for each in vocabulary.TASK_STATUSES if model.TaskStatus(each).ended} == set(vocabulary.ENDED_TASK_STATUSES)
    assert set(vocabulary.ENDED_TASK_STATUSES) == fields.ENDED_TASK_STATUSES
    assert set(vocabulary.ENDED_STEP_STATUSES) == fields.ENDED_STEP_STATUSES


def test_the_backend_has_the_same_bounds() -> None:
    assert fields.ID_CHARS == vocabulary.MAX_ID_CHARS
    assert fields.TITLE_CHARS == vocabulary.MAX_TITLE_CHARS
    assert fields.STEPS == vocabulary.MAX_STEPS
    assert fields.SUMMARY_CHARS == vocabulary.MAX_SUMMARY_CHARS
    assert fields.METADATA_PAIRS == vocabulary.MAX_METADATA_PAIRS
    assert fields.METADATA_VALUE_CHARS == vocabulary.MAX_METADATA_CHARS


def test_the_backend_has_a_bound_of_its_own_on_metadata_keys() -> None:
    """The protocol bounds them like values; a longer key is taken by the daemon and refused by the backend."""
    assert fields.METADATA_KEY_CHARS <= vocabulary.MAX_METADATA_CHARS
    metadata = pydantic.TypeAdapter(fields.Metadata)
    assert metadata.validate_python({"k" * fields.METADATA_KEY_CHARS: ""})
    for refused in ("k" * (fields.METADATA_KEY_CHARS + 1), ""):
        with pytest.raises(pydantic.ValidationError):
            metadata.validate_python({refused: ""})


def test_the_daemon_sends_the_kinds_of_event_that_the_backend_takes() -> None:
    kinds = {kind.value for kind in events.EventKind} - {"interrupt_requested"}  # which comes from people alone
    assert {kind.value for kind in model.EventKind} == kinds

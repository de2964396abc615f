"""The protocol's words and bounds are written once: whoever has copies of its own has the same ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import get_args

import pydantic
import pytest

from clawlog.cli.render import marks, states, views
from clawlog.connection.results import StopPhase
from clawlog.protocol import summary, types, vocabulary
from clawlog_backend.domain import events, fields, texts
from clawlogd import model
from clawlogd.interrupts import state
from clawlogd.liveness import evidence
from support.hostile_texts import TEXTS, unclean


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
        (state.InterruptPhase, vocabulary.INTERRUPT_STATES),
        (evidence.LifeState, vocabulary.LIVENESS_STATES),
        (StopPhase, vocabulary.INTERRUPT_STATES),
        (fields.ReportedStatus, vocabulary.REPORTED_TASK_STATUSES),
        (fields.StepStatus, vocabulary.STEP_STATUSES),
        (fields.TaskStatus, (*vocabulary.TASK_STATUSES, "stale")),
        (fields.Liveness, (*vocabulary.LIVENESS_STATES, "unknown")),
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
    assert fields.METADATA_KEY_CHARS == vocabulary.MAX_METADATA_KEY_CHARS
    assert fields.LINKS == vocabulary.MAX_LINKS
    assert fields.LINK_NAME_CHARS == vocabulary.MAX_LINK_NAME_CHARS
    assert fields.URL_CHARS == vocabulary.MAX_URL_CHARS
    assert fields.UNIT_CHARS == vocabulary.MAX_UNIT_CHARS


def test_the_clients_stop_phases_are_named_for_their_words() -> None:
    assert [member.name.lower() for member in StopPhase] == list(vocabulary.INTERRUPT_STATES)


@pytest.mark.parametrize("status", vocabulary.STEP_STATUSES)
def test_every_step_status_has_its_mark_in_the_terminal(status: str) -> None:
    assert status in marks.STEP_MARKS, f"cli/render/marks.py: STEP_MARKS lacks {status!r}"


@pytest.mark.parametrize("status", [*vocabulary.TASK_STATUSES, "stale", states.STOPPING, *states.ALARMING])
def test_every_task_status_has_its_word_in_the_terminal(status: str) -> None:
    assert status in states.WORDS, f"cli/render/states.py: WORDS lacks {status!r}"


def test_every_word_of_a_state_is_drawn_and_has_its_place() -> None:
    assert set(states.WORDS.values()) == set(states.STYLES) == set(states.MARKS) == set(states.ORDER)


@pytest.mark.parametrize("evidence", vocabulary.EVIDENCE)
def test_every_evidence_has_its_words_in_the_terminal(evidence: str) -> None:
    life = views.LivenessView("alive", evidence, None, 42)
    assert evidence in marks.EVIDENCE_TEXTS, f"cli/render/marks.py: EVIDENCE_TEXTS lacks {evidence!r}"
    assert marks.evidence(life)


def test_what_the_terminal_takes_for_alarming_is_a_state_of_liveness() -> None:
    assert set(states.ALARMING) <= set(vocabulary.LIVENESS_STATES)
    assert set(marks.STEP_MARKS) == set(vocabulary.STEP_STATUSES)


ROOT = Path(__file__).resolve().parents[2]
LISTS_OF_STEP_STATUSES = {
    "client/clawlog/protocol/vocabulary.py",
    "client/clawlog/protocol/types.py",
    "backend/clawlog_backend/domain/fields.py",  # it may not import the client
    "client/clawlog/cli/render/marks.py",  # a mark for each
}


def listed_together(node: ast.AST) -> Iterator[set[str]]:
    """The texts that stand in one list, set, mapping, type, class of constants or sentence."""
    documentation = {id(each.value) for each in ast.walk(node) if isinstance(each, ast.Expr)}
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in documentation:
            yield {word for word in vocabulary.STEP_STATUSES if word in each.value}
        elif isinstance(each, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.ClassDef):
            inner = each.keys if isinstance(each, ast.Dict) else each.body if isinstance(each, ast.ClassDef) else each.elts
            values = [part.value if isinstance(part, ast.Assign) else part for part in inner]
            yield {part.value for part in values if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_the_step_statuses_are_listed_in_three_places_and_where_they_are_drawn() -> None:
    """A new status must not be searched for: everything else takes them from these."""
    found = set()
    for package in ("client/clawlog", "daemon/clawlogd", "backend/clawlog_backend"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if any(words >= set(vocabulary.ENDED_STEP_STATUSES) for words in listed_together(tree)):
                found.add(str(path.relative_to(ROOT)))
    assert found == LISTS_OF_STEP_STATUSES, "take them from protocol/vocabulary or protocol/types"


def test_the_backend_has_a_bound_of_its_own_on_metadata_keys() -> None:
    """The protocol bounds them like values; a longer key is taken by the daemon and refused by the backend."""
    assert fields.METADATA_KEY_CHARS <= vocabulary.MAX_METADATA_CHARS
    metadata = pydantic.TypeAdapter(fields.Metadata)
    assert metadata.validate_python({"k" * fields.METADATA_KEY_CHARS: ""})
    for refused in ("k" * (fields.METADATA_KEY_CHARS + 1), ""):
        with pytest.raises(pydantic.ValidationError):
            metadata.validate_python({refused: ""})


def test_the_daemon_sends_the_kinds_of_event_that_the_backend_takes() -> None:
    kinds = {kind.value for kind in events.EventKind} - {kind.value for kind in events.OF_PEOPLE}
    assert {kind.value for kind in model.EventKind} == kinds


@pytest.mark.parametrize("name", TEXTS)
def test_both_doors_for_texts_are_the_same(name: str) -> None:
    text = f" a  {TEXTS[name]}b\x1b]8;;x\x1b\\ {TEXTS[name]} "
    assert texts.one_line(text) == summary.one_line(text)
    assert unclean(texts.one_line(text)) == []

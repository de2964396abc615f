"""Every error of the domain has its answer on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clawlog.protocol import errors as codes
from clawlogd import errors
from clawlogd.rpc.refusals import refusal_of

EXAMPLES: dict[type[Exception], tuple[Exception, int, dict[str, object]]] = {
    errors.InvalidValue: (
        errors.InvalidValue("step", "does not fit", "expected an id"),
        codes.INVALID_PARAMS,
        {"field": "step", "hint": "expected an id"},
    ),
    errors.UnknownTask: (errors.UnknownTask("t"), codes.UNKNOWN_TASK, {"task_id": "t"}),
    errors.UnknownStep: (
        errors.UnknownStep("No step 3 in task t", [errors.StepChoice("t-1", 1, "one")]),
        codes.UNKNOWN_STEP,
        {"steps": [{"step_id": "t-1", "position": 1, "title": "one"}]},
    ),
    errors.TaskFinished: (errors.TaskFinished("t", "done"), codes.TASK_FINISHED, {"status": "done"}),
    errors.EventIdReused: (
        errors.EventIdReused(),
        codes.INVALID_PARAMS,
        {"field": "event_id", "hint": errors.EventIdReused.hint, "reason": "key_reused"},
    ),
    errors.NoOpenInterrupt: (errors.NoOpenInterrupt("t"), codes.NO_OPEN_INTERRUPT, {"task_id": "t"}),
    errors.TooManyTasks: (errors.TooManyTasks(9), codes.OUTBOX_FULL, {"bound": "tasks.max_known"}),
    errors.TooManyBackends: (errors.TooManyBackends(9), codes.OUTBOX_FULL, {"bound": "backends.max"}),
    errors.OutboxFull: (errors.OutboxFull("full"), codes.OUTBOX_FULL, {}),
    errors.StorageFailed: (errors.StorageFailed("no space"), codes.STORAGE_FAILED, {}),
    errors.StorageLost: (errors.StorageLost("gone"), codes.STORAGE_FAILED, {}),
    errors.StorageDamaged: (errors.StorageDamaged("malformed"), codes.STORAGE_FAILED, {}),
    errors.DuplicateEvent: (errors.DuplicateEvent("twice"), codes.STORAGE_FAILED, {}),
}


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    for each in kind.__subclasses__():
        yield each
        yield from leaves(each)


@pytest.mark.parametrize(
    "kind", sorted({*leaves(errors.CommandRefused), *leaves(errors.OutboxError)}, key=lambda kind: kind.__name__)
)
def test_an_error_of_the_domain_has_a_code_and_data(kind: type[Exception]) -> None:
    error, code, data = EXAMPLES[kind]
    refusal = refusal_of("task.update", error)
    assert (refusal.code, refusal.data) == (code, {"code": codes.NAMES[code], **data})


def test_a_fault_of_the_daemon_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    refusal = refusal_of("task.update", ZeroDivisionError("the inside"))
    assert refusal.code == codes.INTERNAL_ERROR
    assert "inside" not in refusal.message
    assert [record.getMessage() for record in caplog.records] == ["command_failed"]


def test_a_refusal_that_is_one_already_stays_as_it_is() -> None:
    refusal = codes.RpcError(codes.SHUTTING_DOWN, "later")
    assert refusal_of("task.update", refusal) is refusal

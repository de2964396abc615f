from __future__ import annotations

import time
import uuid

from clawlog.protocol import ids


def test_mints_uuids_of_version_7_in_canonical_form() -> None:
    for _ in range(200):
        text = ids.new_uuid()
        value = uuid.UUID(text)
        assert str(value) == text
        assert (value.version, value.variant) == (7, uuid.RFC_4122)


def test_no_two_are_the_same() -> None:
    assert len({ids.new_uuid() for _ in range(10_000)}) == 10_000


def test_tells_when_it_was_minted() -> None:
    before = time.time_ns() // 1_000_000
    minted = ids.minted_at_ms(uuid.UUID(ids.new_uuid()).bytes)
    assert minted is not None
    assert before <= minted <= time.time_ns() // 1_000_000


def test_another_version_tells_nothing() -> None:
    assert ids.minted_at_ms(uuid.uuid4().bytes) is None


def test_a_steps_id_is_its_tasks_and_its_position_as_long_as_that_fits() -> None:
    assert ids.step_id("t", 3) == "t-3"
    assert len(ids.step_id("x" * 62, 3)) == 64
    assert uuid.UUID(ids.step_id("x" * 63, 3)).version == 7

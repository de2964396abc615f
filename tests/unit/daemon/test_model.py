"""Records on disk keep their form, whatever the fields are called in the code."""

from __future__ import annotations

import msgspec

from clawlogd.model import Interrupt, Task

RECORD = (
    b'{"task_id":"t","title":"T","base_url":"http://x","created_ms":0,'
    b'"stop":{"interrupt_id":"i1","reason":"enough","delivered":true}}'
)


def test_a_record_of_an_earlier_version_is_read_and_written_as_it_was() -> None:
    task = msgspec.json.decode(RECORD, type=Task)
    assert task.interrupt == Interrupt("i1", reason="enough", delivered=True)
    assert task.interrupt_pending
    assert msgspec.json.encode(task) == RECORD

"""The batch profile's requests."""

from __future__ import annotations

import msgspec

from clawlogd.upstream import routes


def test_a_batch_is_its_records_as_they_are() -> None:
    assert routes.batch([b'{"n":1}', b'{"n":2}']).body == b'{"events":[{"n":1},{"n":2}]}'


def test_a_poll_without_a_cursor_asks_for_the_states_as_they_are() -> None:
    assert msgspec.json.decode(routes.poll(["a"], None, 0.0).body or b"") == {"task_ids": ["a"], "wait_s": 0.0}
    assert msgspec.json.decode(routes.poll(["a"], "7", 55.0).body or b"")["cursor"] == "7"

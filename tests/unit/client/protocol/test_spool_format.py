from __future__ import annotations

import json
import zlib

import pytest

from clawlog.protocol import spool

CONTENT = spool.encode("2026-01-02T03:04:05.678Z", [("task.update", {"task_id": "部", "status": "done", "event_id": "e"})])


def test_is_read_as_it_was_written() -> None:
    calls = spool.decode(CONTENT)
    assert calls.at == "2026-01-02T03:04:05.678Z"
    assert calls.requests == (("task.update", {"task_id": "部", "status": "done", "event_id": "e"}),)


LATER = [
    ("task.create", {"title": "T", "steps": [], "task_id": "t", "event_id": "a", "cwd": "/w", "parent_task_id": "p"}),
    ("task.update", {"task_id": "t", "status": "waiting", "summary": "drop it?", "event_id": "b"}),
    ("step.update", {"task_id": "t", "step": 1, "status": "done", "event_id": "c", "progress": {"done": 1}}),
    ("step.add", {"task_id": "t", "title": "S", "step_id": "s", "event_id": "d"}),
]


def test_what_the_first_daemons_do_not_know_is_read_by_those_of_now() -> None:
    assert spool.decode(spool.encode("2026-01-02T03:04:05.678Z", LATER)).requests == tuple(LATER)


def test_what_the_first_daemons_do_not_know_costs_them_no_call() -> None:
    """Such a daemon reads ``method`` and ``params`` alone, and refuses a parameter or a status that it does not know."""
    body = json.loads(spool.encode("2026-01-02T03:04:05.678Z", LATER).split(b"\n")[1])
    assert [(each["method"], each["params"]) for each in body["requests"][:3]] == [
        ("task.create", {"title": "T", "steps": [], "task_id": "t", "event_id": "a"}),
        ("task.update", {"task_id": "t", "status": "running", "summary": "drop it?", "event_id": "b"}),
        ("step.update", {"task_id": "t", "step": 1, "status": "done", "event_id": "c"}),
    ]


@pytest.mark.parametrize("length", range(0, len(CONTENT) - 1, 7))
def test_a_torn_file_is_noticed(length: int) -> None:
    with pytest.raises(ValueError, match="torn or damaged"):
        spool.decode(CONTENT[:length])


def test_a_flipped_bit_is_noticed_wherever_it_is() -> None:
    for place in range(len(CONTENT) - 1):
        damaged = bytearray(CONTENT)
        damaged[place] ^= 1
        with pytest.raises(ValueError, match=r".+"):
            spool.decode(bytes(damaged))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"version": 2, "at": "x", "requests": []}, "version 2 is not known"),
        ({"at": "x", "requests": []}, "not a spool file"),
        ({"version": 1, "at": "x", "requests": [{"method": "m"}]}, "not a spool file"),
        ({"version": 1, "at": "x", "requests": [{"method": "m", "params": {}, "later": 1}]}, "not a spool file"),
        ([1], "not a spool file"),
    ],
)
def test_an_intact_file_of_another_kind_is_refused(value: object, complaint: str) -> None:
    body = json.dumps(value).encode()
    with pytest.raises(ValueError, match=complaint):
        spool.decode(b"%08x\n%s\n" % (zlib.crc32(body), body))

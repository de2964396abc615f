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
        ([1], "not a spool file"),
    ],
)
def test_an_intact_file_of_another_kind_is_refused(value: object, complaint: str) -> None:
    body = json.dumps(value).encode()
    with pytest.raises(ValueError, match=complaint):
        spool.decode(b"%08x\n%s\n" % (zlib.crc32(body), body))

"""The second file that knows how far the numbers had come."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlogd.outbox.witness import Witness


def test_it_remembers_the_last_number_whether_it_was_closed_or_not(tmp_path: Path) -> None:
    first = Witness(tmp_path / "seq")
    assert first.last_seq == 0
    first.advance(7)
    first.close()
    second = Witness(tmp_path / "seq")
    assert second.last_seq == 7
    second.advance(123_456_789_012)  # and no more is heard of it
    assert Witness(tmp_path / "seq").last_seq == 123_456_789_012


def test_any_damage_makes_it_say_nothing_rather_than_something_wrong(tmp_path: Path) -> None:
    file = tmp_path / "seq"
    witness = Witness(file)
    witness.advance(7)
    whole = file.read_bytes()
    for content in (b"", b"garbage", b"7 clean\n", b"\xff" * 30, whole[:20], whole[:-2]):
        file.write_bytes(content)
        assert Witness(file).last_seq == 0
    for position in range(len(whole) - 1):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert Witness(file).last_seq == 0


def test_a_note_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "seq")
    witness.close()
    witness.advance(8)
    assert witness.last_seq == 8


def test_it_follows_no_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "seq").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Witness(tmp_path / "seq")

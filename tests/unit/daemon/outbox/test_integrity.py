"""The seal on a file that was closed in order, and the second file that knows how far the numbers had come."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clawlogd.outbox.integrity import Seal, Witness

# ── The seal ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"sound")
    return path


def test_a_seal_holds_once(path: Path) -> None:
    Seal(path).put()
    assert Seal(path).take()
    assert not Seal(path).take()
    assert [each.name for each in path.parent.iterdir()] == ["outbox.db"]


def test_a_file_that_was_written_to_is_not_sealed_even_when_its_times_are_put_back(path: Path) -> None:
    before = path.stat()
    Seal(path).put()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not Seal(path).take()


def test_another_file_in_its_place_is_not_sealed(path: Path) -> None:
    Seal(path).put()
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.rename(path)
    assert not Seal(path).take()


def test_a_file_with_a_wal_is_not_sealed(path: Path) -> None:
    Seal(path).put()
    path.with_name("outbox.db-wal").write_bytes(b"")
    assert not Seal(path).take()


@pytest.mark.parametrize("content", [b"", b"1 2 3", "ä".encode()])
def test_a_seal_that_is_not_whole_is_none(path: Path, content: bytes) -> None:
    path.with_name("outbox.db.sealed").write_bytes(content)
    assert not Seal(path).take()


def test_no_file_is_not_sealed(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "outbox.db")
    seal.put()
    assert not seal.take()


# ── The witness ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_witness_remembers_the_last_number_whether_it_was_closed_or_not(tmp_path: Path) -> None:
    first = Witness(tmp_path / "seq")
    assert first.last_seq == 0
    first.advance(7)
    first.close()
    second = Witness(tmp_path / "seq")
    assert second.last_seq == 7
    second.advance(123_456_789_012)  # and it is never closed
    assert Witness(tmp_path / "seq").last_seq == 123_456_789_012


def test_any_damage_makes_the_witness_say_nothing_rather_than_something_wrong(tmp_path: Path) -> None:
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


def test_the_witness_follows_no_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "seq").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Witness(tmp_path / "seq")

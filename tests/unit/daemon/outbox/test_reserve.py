"""Space held in reserve for a full disk."""

from __future__ import annotations

from pathlib import Path

from clawlogd.outbox.reserve import Reserve


def test_it_takes_space_gives_it_once_and_takes_it_again(tmp_path: Path) -> None:
    file = tmp_path / "ballast"
    reserve = Reserve(file, 1 << 16)
    assert reserve.restore() is True
    assert file.stat().st_blocks * 512 >= 1 << 16
    assert reserve.restore() is True
    assert reserve.free() is True
    assert not file.exists()
    assert reserve.free() is False
    assert reserve.restore() is True


def test_a_reserve_of_nothing_is_none(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "ballast", 0)
    assert reserve.restore() is False
    assert reserve.free() is False
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_taken_is_not_held_in_part(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "ballast", 1 << 62)
    assert reserve.restore() is False
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_too_small_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"x" * 100)
    assert Reserve(tmp_path / "ballast", 8192).restore() is True
    assert (tmp_path / "ballast").stat().st_size == 8192

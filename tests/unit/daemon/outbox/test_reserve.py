"""Space held in reserve for a full disk."""

from __future__ import annotations

from pathlib import Path

from clawlogd.outbox.reserve import Ballast


def test_it_takes_space_gives_it_once_and_takes_it_again(tmp_path: Path) -> None:
    file = tmp_path / "ballast"
    ballast = Ballast(file, 1 << 16)
    assert ballast.restore() is True
    assert file.stat().st_blocks * 512 >= 1 << 16
    assert ballast.restore() is True
    assert ballast.release() is True
    assert not file.exists()
    assert ballast.release() is False
    assert ballast.restore() is True


def test_a_ballast_of_nothing_is_none(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", 0)
    assert ballast.restore() is False
    assert ballast.release() is False
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_taken_is_not_held_in_part(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", 1 << 62)
    assert ballast.restore() is False
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_too_small_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"x" * 100)
    assert Ballast(tmp_path / "ballast", 8192).restore() is True
    assert (tmp_path / "ballast").stat().st_size == 8192

"""The seal on a file that was closed in order: it holds once, and for that file alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clawlogd.outbox.seal import Seal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"sound")
    return path


def test_it_holds_once(path: Path) -> None:
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

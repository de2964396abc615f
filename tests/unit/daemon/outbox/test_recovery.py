"""Opening the outbox whatever state its file is in."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from clawlogd.outbox.integrity import lane_number
from clawlogd.outbox.recovery import open_store
from clawlogd.outbox.schema import EventState, UnknownSchemaError
from clawlogd.outbox.store import Store
from support.sidecar import SteppedClock
from unit.daemon.outbox.test_store import group

COUNT = 3000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with many events, some of them settled, closed in good order."""
    store = Store(tmp_path / "outbox.db")
    store.open()
    store.commit(group(*((seq, f"task {seq % 10}") for seq in range(1, COUNT + 1))))
    moves = group()
    moves.moved |= dict.fromkeys(range(1, 101), EventState.SETTLED)
    store.commit(moves)
    store.close()
    return tmp_path / "outbox.db"


def aside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if "corrupt" in each.name)


def test_a_good_file_is_opened_as_it_is(path: Path, clock: SteppedClock) -> None:
    store, recovery = open_store(path, clock=clock)
    assert (store.last_seq(), recovery) == (COUNT, None)
    store.close()
    assert aside(path) == []


def test_only_a_file_that_is_just_what_was_closed_is_not_checked_again(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Store] = []
    check = Store.check
    monkeypatch.setattr(Store, "check", lambda self: checked.append(self) or check(self))
    store, _ = open_store(path, clock=clock)
    assert len(checked) == 1  # it was never sealed
    store.close(seal=True)
    store, _ = open_store(path, clock=clock)
    assert len(checked) == 1
    copy = path.with_name("as after a crash")
    shutil.copy2(path, copy)
    store.close()
    store, _ = open_store(path, clock=clock)
    assert len(checked) == 2  # it was closed without a seal
    store.close(seal=True)
    copy.replace(path)
    store, _ = open_store(path, clock=clock)
    assert len(checked) == 3  # another file
    store.close()


def test_no_file_at_all_is_a_new_outbox(tmp_path: Path, clock: SteppedClock) -> None:
    store, recovery = open_store(tmp_path / "outbox.db", clock=clock, last_seq=COUNT)
    assert (store.last_seq(), recovery) == (0, None)
    store.close()


def test_what_can_be_read_of_a_damaged_file_is_kept_and_the_file_is_moved_aside(path: Path, clock: SteppedClock) -> None:
    pages = bytearray(path.read_bytes())
    middle = len(pages) // 2 // 4096 * 4096
    pages[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(pages)
    store, recovery = open_store(path, clock=clock, last_seq=COUNT)
    assert recovery is not None
    assert recovery.moved_to == path.with_name(f"outbox.db.corrupt-{clock.wall_ms()}")
    assert recovery.moved_to.read_bytes() == bytes(pages)
    assert recovery.reason
    found = store.pending(1, COUNT, 1 << 30)
    assert recovery.events == len(found)
    assert COUNT * 0.5 < len(found) < COUNT
    assert all(each.intact for each in found)
    assert [each.seq for each in found] == sorted({each.seq for each in found})
    assert store.check() is None
    # What is gone is known to be gone.
    assert store.note_lost(COUNT) > 0
    store.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_of_which_nothing_can_be_read_gives_way_to_a_new_one(path: Path, clock: SteppedClock, content: bytes) -> None:
    path.write_bytes(content)
    store, recovery = open_store(path, clock=clock, last_seq=COUNT)
    store.commit(group((1, "t")))
    assert [each.seq for each in store.pending(1, 10, 1000)] == [1]
    store.close()
    if content:
        assert recovery is not None
        assert recovery.moved_to.read_bytes() == content
        assert recovery.events == 0
    else:
        assert recovery is None  # an empty file is what SQLite itself begins with


def test_a_newer_file_is_left_alone(path: Path, clock: SteppedClock) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UnknownSchemaError):
        open_store(path, clock=clock, last_seq=COUNT)
    assert path.read_bytes() == before
    assert aside(path) == []


def test_a_folder_in_its_place_is_no_damage_that_could_be_moved_aside(tmp_path: Path, clock: SteppedClock) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_store(tmp_path / "outbox.db", clock=clock)
    assert aside(tmp_path / "outbox.db") == []


def test_a_recovery_that_was_cut_short_at_its_last_step_is_finished(path: Path, clock: SteppedClock) -> None:
    rebuilt = path.with_name("outbox.db.rebuilt")
    path.rename(rebuilt)
    path.write_bytes(b"the damaged one")
    store, recovery = open_store(path, clock=clock)
    assert (store.last_seq(), recovery) == (COUNT, None)
    store.close()
    assert not rebuilt.exists()


def test_a_file_with_other_tables_is_recovered_too(path: Path, clock: SteppedClock) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE steps")
    connection.close()
    store, recovery = open_store(path, clock=clock, last_seq=COUNT)
    assert recovery is not None
    assert recovery.events == COUNT - 100
    assert store.connection.execute("SELECT count(*) FROM steps").fetchone() == (0,)
    store.close()


def test_an_event_whose_lane_was_damaged_has_its_own_again(tmp_path: Path, clock: SteppedClock) -> None:
    """Else it would wait for ever for a backend that there is not."""
    path, lane = tmp_path / "outbox.db", lane_number("http://b")
    store = Store(path)
    store.open()
    made = group((1, "t"), (2, "t"), (3, "t"), lane=lane)
    made.lanes[lane] = "http://b"
    store.commit(made)
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX events_waiting")  # the flip of a bit leaves it behind, too
    connection.execute("UPDATE events SET lane = lane + 8 WHERE seq = 2")
    connection.execute("UPDATE events SET lane = lane + 8, body = x'6e6f' WHERE seq = 3")
    connection.commit()
    connection.close()
    store, recovery = open_store(path, clock=clock, last_seq=3)
    assert recovery is not None
    assert [(each.seq, each.intact) for each in store.pending(lane, 10, 1 << 20)] == [(1, True), (2, True), (3, False)]
    store.close()

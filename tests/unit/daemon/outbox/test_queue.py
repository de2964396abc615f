"""The outbox in memory: group commit, bounds, counts, repeated calls, and what a failed commit leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clawlog.protocol import ids
from clawlogd.errors import DuplicateEvent, OutboxFull, StorageDamaged, StorageFailed
from clawlogd.model import Step, Task
from clawlogd.outbox.integrity import Seal, lane_number
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import CommitGroup, Refusal
from clawlogd.outbox.reserve import Reserve
from clawlogd.outbox.schema import EventState
from clawlogd.outbox.store import Store
from support.events import URL, event, raw_id
from support.running_daemon import until
from support.sidecar import SteppedClock


class Disk(Store):
    """A store whose commits can be made to wait, and to fail as a full disk does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups: list[CommitGroup] = []
        self.full_for = 0

    def commit(self, group: CommitGroup) -> None:
        if self.full_for:
            self.full_for -= 1
            raise StorageFailed("database or disk is full (SQLITE_FULL)")
        super().commit(group)
        self.groups.append(group)


LANE = lane_number(URL)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "outbox.db")
    disk.open()
    return disk


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    """Some space that is held in reserve."""
    reserve = Reserve(tmp_path / "ballast", 4096)
    assert reserve.restore()
    return reserve


async def waiting_seqs(outbox: Outbox) -> list[int]:
    return [stored.seq for stored in await outbox.read(lambda store: store.pending(LANE, 1000, 1 << 20))]


async def until_recovered(outbox: Outbox) -> None:
    await until(lambda: outbox.storage_error is None)


def add(outbox: Outbox, number: int, task_id: str = "t") -> asyncio.Future[None]:
    outbox.add(event(number, task_id), 0, URL, b"reply %d" % number)
    return outbox.committed()


async def first_reply(outbox: Outbox, event_id: bytes) -> bytes | None:
    """What the first call with an event id was answered."""
    first = await outbox.first_call(event_id)
    return first.reply if first is not None else None


def standing(outbox: Outbox) -> tuple[object, ...]:
    counts = outbox.counts
    return counts.waiting, +counts.pending, +counts.dead, +counts.by_task


async def test_what_comes_while_one_commit_is_on_its_way_becomes_the_next(
    new_outbox: Callable[..., Outbox], disk: Disk
) -> None:
    outbox = new_outbox(disk)
    waits = [add(outbox, 1)]
    await asyncio.sleep(0)  # the first group is on its way
    waits += [add(outbox, number) for number in range(2, 500)]
    await asyncio.gather(*waits)
    assert [len(group.events) for group in disk.groups] == [1, 498]
    assert await waiting_seqs(outbox) == list(range(1, 500))


async def test_counts_follow_each_event_on_its_way(outbox: Outbox) -> None:
    for number in (1, 2, 3):
        add(outbox, number, "a" if number < 3 else "b")
    await outbox.committed()
    size = outbox.counts.size_bytes
    assert (outbox.counts.waiting, outbox.counts.pending[LANE], dict(outbox.counts.by_task)) == (3, 3, {"a": 2, "b": 1})
    outbox.settle(1, "a", LANE, size // 3)
    outbox.move(2, LANE, EventState.PENDING, EventState.DEAD, Refusal(2, 422, "no", 0))
    outbox.move(3, LANE, EventState.PENDING, EventState.HELD)
    await outbox.committed()
    assert (outbox.counts.waiting, outbox.counts.pending[LANE], outbox.counts.dead[LANE], outbox.counts.held[LANE]) == (
        2,
        0,
        1,
        1,
    )
    assert dict(outbox.counts.by_task) == {"a": 1, "b": 1}
    assert outbox.counts.size_bytes == size - size // 3


async def test_counts_and_lanes_are_the_same_after_a_restart(new_outbox: Callable[..., Outbox]) -> None:
    first = new_outbox()
    for number in range(1, 6):
        add(first, number, f"t{number % 2}")
    first.add(event(9), 0, "http://another.test")
    first.settle(1, "t1", LANE, 0)
    first.move(2, LANE, EventState.PENDING, EventState.DEAD, Refusal(2, 422, "no", 0))
    await first.committed()
    was, urls = standing(first), sorted(first.base_urls)
    await first.close()
    again = new_outbox()
    assert (standing(again), sorted(again.base_urls)) == (was, urls)
    assert again.lane(URL) == first.lane(URL) != again.lane("http://another.test")
    assert again.lost == 0


async def test_at_its_bounds_it_refuses_and_takes_again_when_there_is_room(new_outbox: Callable[..., Outbox]) -> None:
    outbox = new_outbox(max_events=2)
    add(outbox, 1)
    add(outbox, 2)
    with pytest.raises(OutboxFull, match=r"2 events .* wait for delivery and the bound is 2 events"):
        add(outbox, 3)
    await outbox.committed()
    assert outbox.counts.waiting == 2
    outbox.settle(1, "t", LANE, 0)
    add(outbox, 3)
    await outbox.committed()
    assert outbox.counts.waiting == 2


async def test_a_failed_commit_fails_everything_on_top_of_it_and_puts_memory_back(
    new_outbox: Callable[..., Outbox], disk: Disk
) -> None:
    outbox = new_outbox(disk)
    await add(outbox, 1)
    was = (outbox.counts.waiting, outbox.counts.size_bytes, +outbox.counts.pending, +outbox.counts.by_task)
    disk.full_for = 1
    undone: list[int] = []
    failing = add(outbox, 2, "u")
    outbox.on_failure(lambda: undone.append(2))
    outbox.settle(1, "t", LANE, 7)
    await asyncio.sleep(0)
    on_top = add(outbox, 3, "v")
    outbox.on_failure(lambda: undone.append(3))
    results = await asyncio.gather(failing, on_top, return_exceptions=True)
    assert [type(each) for each in results] == [StorageFailed, StorageFailed]
    assert undone == [3, 2]
    assert (outbox.counts.waiting, outbox.counts.size_bytes, +outbox.counts.pending, +outbox.counts.by_task) == was
    with pytest.raises(StorageFailed, match="SQLITE_FULL"):
        add(outbox, 4)  # until the disk has been found to take writes
    await until_recovered(outbox)
    await add(outbox, 4)
    assert await waiting_seqs(outbox) == [1, 2]
    assert await first_reply(outbox, raw_id(2)) is None


async def test_on_a_full_disk_the_reserve_is_for_the_record_of_deliveries_alone(
    new_outbox: Callable[..., Outbox], disk: Disk, reserve: Reserve, tmp_path: Path
) -> None:
    outbox = new_outbox(disk, reserve=reserve)
    await add(outbox, 1)
    disk.full_for = 1
    with pytest.raises(StorageFailed):
        await add(outbox, 2)
    assert (tmp_path / "ballast").exists()
    disk.full_for = 1
    outbox.settle(1, "t", LANE, outbox.counts.size_bytes)
    await outbox.committed()
    assert outbox.counts.waiting == 0
    await until_recovered(outbox)
    assert (tmp_path / "ballast").stat().st_size == 4096


async def test_room_that_is_only_in_the_reserve_is_no_room_for_new_events(
    new_outbox: Callable[..., Outbox], disk: Disk, reserve: Reserve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = new_outbox(disk, reserve=reserve)
    make_room, tries = disk.make_room, 0

    def only_beside_the_reserve() -> None:
        nonlocal tries
        tries += 1
        if (tmp_path / "ballast").exists():
            raise sqlite3.OperationalError("database or disk is full")
        make_room()

    with monkeypatch.context() as full:
        full.setattr(disk, "make_room", only_beside_the_reserve)
        disk.full_for = 1
        with pytest.raises(StorageFailed):
            await add(outbox, 1)
        recovered = False

        def tried_often() -> bool:
            nonlocal recovered
            recovered |= outbox.storage_error is None
            return tries > 12

        await until(tried_often)
        assert not recovered
    await until_recovered(outbox)
    assert (tmp_path / "ballast").exists()
    await add(outbox, 2)


async def test_while_the_reserve_is_in_use_nothing_new_is_accepted(
    new_outbox: Callable[..., Outbox], disk: Disk, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = new_outbox(disk, reserve=reserve)
    await add(outbox, 1)
    with monkeypatch.context() as full:
        full.setattr(reserve, "restore", lambda: False)
        disk.full_for = 1  # and it is a delivery that finds this out
        outbox.settle(1, "t", LANE, outbox.counts.size_bytes)
        await outbox.committed()
        assert outbox.counts.waiting == 0
        with pytest.raises(StorageFailed):
            await add(outbox, 2)
    await until_recovered(outbox)
    await add(outbox, 2)


async def test_a_repeated_call_hears_the_first_ones_reply_once_it_is_on_disk(outbox: Outbox) -> None:
    first = add(outbox, 1)
    assert await first_reply(outbox, raw_id(1)) == b"reply 1"
    assert first.done()
    outbox.settle(1, "t", LANE, 0)
    await outbox.committed()
    assert await first_reply(outbox, raw_id(1)) == b"reply 1"
    assert await first_reply(outbox, raw_id(2)) is None


async def test_a_repetition_of_a_call_that_failed_is_a_first_call(new_outbox: Callable[..., Outbox], disk: Disk) -> None:
    outbox = new_outbox(disk)
    disk.full_for = 1
    failing = add(outbox, 1)
    assert await first_reply(outbox, raw_id(1)) is None
    assert isinstance(failing.exception(), StorageFailed)
    await until_recovered(outbox)


async def test_only_what_was_minted_since_the_start_is_surely_new(
    new_outbox: Callable[..., Outbox], clock: SteppedClock
) -> None:
    outbox = new_outbox()

    def minted(ms: int, version: int = 7) -> bytes:
        return ms.to_bytes(6, "big") + bytes([version << 4]) + bytes(9)

    now = clock.wall_ms()
    assert not outbox.surely_new(minted(now - 1))
    assert not outbox.surely_new(minted(now))
    clock.pass_(1)
    assert outbox.surely_new(minted(now + 1))
    assert not outbox.surely_new(minted(now + 1, version=4))
    assert not outbox.surely_new(minted(now + 3000)), "a caller's clock that runs ahead may have minted it in an earlier run"


async def test_an_old_event_that_a_stepped_clock_makes_look_new_is_recognised_at_the_second_try(
    new_outbox: Callable[..., Outbox], clock: SteppedClock
) -> None:
    first = new_outbox()
    clock.pass_(100)
    minted = (clock.wall_ms() - 50_000).to_bytes(6, "big").hex()
    old = f"{minted[:8]}-{minted[8:]}-7000-8000-000000000001"
    raw = bytes.fromhex(old.replace("-", ""))
    again = msgspec.structs.replace(event(1), event_id=old)
    first.add(again, 0, URL, b"the reply")
    await first.committed()
    await first.close()
    clock.suspend(-90)  # the clock was put back
    outbox = new_outbox()
    clock.pass_(60)
    assert outbox.surely_new(raw)
    outbox.add(again, 0, URL, b"another")
    with pytest.raises(DuplicateEvent):
        await outbox.committed()
    assert outbox.storage_error is None
    assert outbox.counts.waiting == 1
    assert not outbox.surely_new(raw)
    assert await first_reply(outbox, raw) == b"the reply"


async def test_tasks_and_steps_are_kept_and_forgotten(new_outbox: Callable[..., Outbox]) -> None:
    outbox = new_outbox()
    task = Task("t", "T", URL, 0, steps=(Step("t-1", 1, "one"), Step("t-2", 2, "two")))
    outbox.save(task, steps=task.steps)
    outbox.save(Task("u", "U", URL, 0))
    await outbox.committed()
    outbox.save(task, head=False, steps=(Step("t-2", 2, "two", remote_id="9"),))
    outbox.forget("u")
    await outbox.committed()
    await outbox.close()
    again = new_outbox()
    ((task_id, _, steps),) = await again.read(lambda store: list(store.tasks()))
    assert (task_id, [b'"remote_id":"9"' in body for body in steps]) == ("t", [False, True])


async def test_a_lane_hears_of_what_is_new_for_it_after_the_commit(outbox: Outbox) -> None:
    heard: list[str] = []
    other = outbox.lane("http://another.test")
    outbox.listen(outbox.lane(URL), lambda: heard.append("this"))
    outbox.listen(other, lambda: heard.append("other"))
    waits = add(outbox, 1)
    outbox.after_commit(lambda: heard.append("after"))
    assert heard == []
    await waits
    assert heard == ["after", "this"]


async def test_the_rate_is_that_of_the_last_quarter_of_an_hour(new_outbox: Callable[..., Outbox], clock: SteppedClock) -> None:
    outbox = new_outbox()
    for number in range(600):
        add(outbox, number + 1)
        await outbox.committed()
        clock.pass_(1)
        outbox.accepted_per_hour()  # asked for every two seconds, for the service manager
    assert outbox.accepted_per_hour() == pytest.approx(3600, rel=0.05)
    clock.pass_(7200)
    assert outbox.accepted_per_hour() < 10


async def test_an_id_is_remembered_as_16_bytes_whatever_its_letters(outbox: Outbox) -> None:
    minted = ids.new_uuid()
    outbox.add(msgspec.structs.replace(event(1), event_id=minted.upper()), 0, URL, b"r")
    assert await first_reply(outbox, bytes.fromhex(minted.replace("-", ""))) == b"r"


async def test_a_file_that_turns_out_to_be_damaged_is_not_sealed_when_it_is_closed(
    new_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    path = tmp_path / "outbox.db"
    first = new_outbox()
    for number in range(3000):
        first.add(event(number), 1000, URL)
    await first.committed()
    await first.close()
    assert Seal(path).take()
    second = new_outbox()
    path.write_bytes(b"\xa5" * path.stat().st_size)
    with pytest.raises(StorageDamaged):
        await second.read(lambda store: store.pending(second.lane(URL), 3000, 1 << 30))
    await second.close()
    assert not Seal(path).take()
    path.unlink()
    new_outbox()  # for the fixture to close

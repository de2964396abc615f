"""Faults of the disk: full, failing, slow, and destroying what it was given."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from faults.daemon import Daemon
from faults.registry import fault, program, root, strace
from faults.rig import Rig
from faults.small_disk import fill, small_disk


@contextmanager
def interfering(rig: Rig, inject: str) -> Iterator[None]:
    """Has strace interfere with a system call of the running daemon, counted from now on, until the end of the block."""
    call = inject.split(":", maxsplit=1)[0]
    command = ["strace", "-f", "-o", "/dev/null", "-p", str(rig.daemon.pid), "-e", f"trace={call}", "-e", f"inject={inject}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert b"attached" in attached, attached
        try:
            yield
        finally:
            tracer.terminate()
            tracer.communicate()


def _says_what_is_wrong(rig: Rig) -> None:
    """The daemon serves, and says that the disk fails: not at every moment, for now and then it finds that a write succeeds."""
    rig.until(lambda: rig.daemon.status()["outbox"]["storage_error"], "the status says that the disk fails")


def _kill_at_each(rig: Rig, call: str, sweep: Sequence[int]) -> None:
    for number in sweep:
        rig.progress(f"{call} {number} of {sweep[-1]}")
        rig.daemon.start()
        with interfering(rig, f"{call}:signal=KILL:when={number}"), rig.load(agents=3):
            rig.until(lambda: not rig.daemon.alive, f"call {number} is reached")
        rig.daemon.kill()
    rig.daemon.start()
    rig.send(10, agents=2)
    rig.recover()
    rig.notes["kills"] = len(sweep)


@fault("SIGKILL swept over the outbox's writes", strace)
def kill_at_each_write(rig: Rig) -> None:
    _kill_at_each(rig, "pwrite64", rig.scale((1, 2, 5, 12), tuple(range(1, 61))))


@fault("SIGKILL swept over the outbox's syncs", strace)
def kill_at_each_sync(rig: Rig) -> None:
    _kill_at_each(rig, "fdatasync", rig.scale((1, 4), tuple(range(1, 31))))


@fault("fdatasync fails with EIO now and then", strace)
def sync_fails(rig: Rig) -> None:
    rig.daemon.start()
    with rig.load(agents=4, pause_s=0.002) as load:
        rig.accept_more(20)
        for _ in range(rig.scale(1, 10)):
            before = load.refusals.get("storage_failed", 0)
            with interfering(rig, "fdatasync:error=EIO:when=2+2"):
                rig.until(lambda before=before: load.refusals.get("storage_failed", 0) > before + 10, "commits fail")
                _says_what_is_wrong(rig)
            rig.accept_more(20)
    rig.recover()
    rig.notes["refused"] = load.refusals["storage_failed"]


@fault("fdatasync fails with EIO for good, then kill -9", strace)
def sync_fails_for_good(rig: Rig) -> None:
    rig.daemon.start()
    rig.backend.down()
    for first in rig.scale((1, 2), tuple(range(1, 16))):
        with rig.load(agents=4) as load, interfering(rig, f"fdatasync:error=EIO:when={first}+"):
            rig.until(lambda load=load: load.refusals.get("storage_failed", 0) >= 4, "commits fail")
            # What was refused may lie whole in the WAL. A crash now must not bring it back.
            rig.daemon.kill()
        rig.daemon.start()
    rig.backend.up()
    rig.recover()


@fault("fdatasync takes 200 ms", strace)
def sync_is_slow(rig: Rig) -> None:
    events, sync_s = rig.scale(150, 2000), 0.2
    rig.daemon.start()
    with interfering(rig, f"fdatasync:delay_enter={sync_s * 1e6:.0f}"), rig.load(agents=16) as load:
        started = time.monotonic()
        rig.accept_more(events, timeout_s=120)
        took_s = time.monotonic() - started
    rig.recover()
    rig.notes["slowest reply, ms"] = round(load.slowest_reply_s * 1000)
    rig.notes["events for each sync's time"] = f"{events / (took_s / sync_s):.1f}"
    assert took_s < events * sync_s / 3, "all who wait share a commit"


@fault("RLIMIT_FSIZE", program("prlimit"))
def file_size_limit(rig: Rig) -> None:
    rig.backend.down()
    rig.daemon.start(wrapper=["prlimit", "--fsize=400000:unlimited"])
    with rig.load(agents=4) as load:
        rig.until(lambda: load.refusals.get("storage_failed"), "the limit is met")
        _says_what_is_wrong(rig)
        subprocess.run(["prlimit", "--pid", str(rig.daemon.pid), "--fsize=unlimited"], check=True)
        rig.accept_more(50)
    rig.backend.up()
    rig.recover()
    rig.notes["refused"] = load.refusals["storage_failed"]


@fault("a disk of 1 MiB, full, and emptied again", root, program("mount"))
def full_disk(rig: Rig) -> None:
    folder = rig.folder / "small"
    with small_disk(folder, "1m"):
        rig.daemon = rig.make_daemon(state_dir=folder / "state", ballast_bytes=128 * 1024)
        filler = folder / "filler"
        rig.daemon.start()
        with rig.load(agents=4, pause_s=0.02) as load:  # slowly: delivered events keep a row each, for a day
            for _ in range(rig.scale(2, 5)):
                rig.accept_more(50)
                rig.backend.down()
                fill(filler)
                before = load.refusals.get("storage_failed", 0)
                rig.until(lambda before=before: load.refusals.get("storage_failed", 0) > before + 20, "commands are refused")
                # Deliveries go on although nothing new can be accepted: the reserve is for their record.
                rig.backend.up()
                rig.until(lambda: rig.daemon.status()["outbox"]["pending"] == 0, "all is delivered on a full disk")
                _says_what_is_wrong(rig)
                filler.unlink()
                rig.accept_more(50)
        rig.recover()
        assert rig.daemon.stop() == 0
    rig.notes["refused"] = load.refusals["storage_failed"]


# ── A disk that destroys what it was given: then the promise is that every loss is found and told ───────────────────


def _accepted_and_killed(rig: Rig, *, folded: bool) -> Daemon:
    """A daemon that has accepted events for a backend that is down, and is not running any more."""
    rig.backend.down()
    rig.daemon.start()
    rig.send(rig.scale(40, 100), agents=4, per_task=8)
    if folded:
        assert rig.daemon.stop() == 0
        rig.daemon.start()
        rig.send(8, agents=2)
    rig.daemon.kill()
    rig.backend.up()
    return rig.daemon


def _damaged_copy(rig: Rig, original: Daemon, number: int) -> Daemon:
    """A daemon of its own over a copy of another's state."""
    copy = rig.make_daemon(folder=rig.folder / f"copy-{number}")
    shutil.copytree(original.state_dir, copy.state_dir)
    return copy


def _judge_damage(rig: Rig, copy: Daemon, what: str) -> None:
    """Starts a daemon over damaged state; what it does not deliver it must have reported."""
    rig.backend.forget()
    copy.start()
    status = rig.recover(copy)
    outbox = status["outbox"]
    rig.reported_gone = outbox["lost"] + outbox["dead_letters"]
    verdict = rig.verdict()
    assert verdict.holds, f"{what}: {verdict}; status: {status}"
    assert not verdict.reported or not status["healthy"], f"{what}: a loss is a problem that status tells"
    rig.notes["losses, all reported"] = rig.notes.get("losses, all reported", 0) + verdict.reported
    rig.notes["cases"] = rig.notes.get("cases", 0) + 1
    with_new = rig.ledger.accepted_count
    assert with_new, "something was at stake"
    copy.kill()
    shutil.rmtree(copy.folder)


@fault("WAL cut off at many offsets")
def wal_truncated(rig: Rig) -> None:
    original = _accepted_and_killed(rig, folded=False)
    wal = Path(f"{original.outbox_path}-wal")
    size = wal.stat().st_size
    draw = random.Random(5)
    cuts = [0, 32, size - 1, *(draw.randrange(size) for _ in range(rig.scale(2, 40)))]
    for number, cut in enumerate(cuts):
        rig.progress(f"cut {number + 1} of {len(cuts)}")
        copy = _damaged_copy(rig, original, number)
        with Path(f"{copy.outbox_path}-wal").open("r+b") as file:
            file.truncate(cut)
        _judge_damage(rig, copy, f"WAL of {size} bytes cut at {cut}")


@fault("bits flipped in the database and its WAL")
def bits_flipped(rig: Rig) -> None:
    original = _accepted_and_killed(rig, folded=True)
    draw = random.Random(6)
    count = rig.scale(6, 100)
    for number in range(count):
        rig.progress(f"flip {number + 1} of {count}")
        copy = _damaged_copy(rig, original, number)
        path = draw.choice([copy.outbox_path, copy.outbox_path, Path(f"{copy.outbox_path}-wal")])
        content = bytearray(path.read_bytes())
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        content[place] ^= 1 << bit
        path.write_bytes(content)
        _judge_damage(rig, copy, f"bit {bit} of byte {place} of {path.name}")


@fault("whole pages of the database overwritten")
def pages_destroyed(rig: Rig) -> None:
    original = _accepted_and_killed(rig, folded=True)
    with sqlite3.connect(original.outbox_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    draw = random.Random(7)
    pages = original.outbox_path.stat().st_size // 4096
    for number, page in enumerate(draw.sample(range(pages), min(pages, rig.scale(3, 25)))):
        rig.progress(f"page {page} of {pages}")
        copy = _damaged_copy(rig, original, number)
        with copy.outbox_path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(draw.randbytes(4096))
        _judge_damage(rig, copy, f"page {page + 1} of {pages}")

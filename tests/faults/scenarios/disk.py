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
from faults.rig import Bench


@contextmanager
def interfering(bench: Bench, inject: str) -> Iterator[None]:
    """Has strace interfere with a system call of the running daemon, counted from now on, until the end of the block."""
    call = inject.split(":", maxsplit=1)[0]
    command = ["strace", "-f", "-o", "/dev/null", "-p", str(bench.daemon.pid), "-e", f"trace={call}", "-e", f"inject={inject}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert b"attached" in attached, attached
        try:
            yield
        finally:
            tracer.terminate()
            tracer.communicate()


def _says_what_is_wrong(bench: Bench) -> None:
    """The daemon serves, and says that the disk fails: not at every moment, for now and then it finds that a write succeeds."""
    bench.until(lambda: bench.daemon.status()["outbox"]["storage_error"], "the status says that the disk fails")


def _kill_at_each(bench: Bench, call: str, sweep: Sequence[int]) -> None:
    for number in sweep:
        bench.progress(f"{call} {number} of {sweep[-1]}")
        bench.daemon.start()
        with interfering(bench, f"{call}:signal=KILL:when={number}"), bench.load(agents=3):
            bench.until(lambda: not bench.daemon.alive, f"call {number} is reached")
        bench.daemon.kill()
    bench.daemon.start()
    bench.send(10, agents=2)
    bench.recover()
    bench.notes["kills"] = len(sweep)


@fault("SIGKILL swept over the outbox's writes", strace)
def kill_at_each_write(bench: Bench) -> None:
    _kill_at_each(bench, "pwrite64", bench.scale((1, 2, 5, 12), tuple(range(1, 61))))


@fault("SIGKILL swept over the outbox's syncs", strace)
def kill_at_each_sync(bench: Bench) -> None:
    _kill_at_each(bench, "fdatasync", bench.scale((1, 4), tuple(range(1, 31))))


@fault("fdatasync fails with EIO now and then", strace)
def sync_fails(bench: Bench) -> None:
    bench.daemon.start()
    with bench.load(agents=4, pause_s=0.002) as load:
        bench.accept_more(20)
        for _ in range(bench.scale(1, 10)):
            before = load.refusals.get("storage_failed", 0)
            with interfering(bench, "fdatasync:error=EIO:when=2+2"):
                bench.until(lambda before=before: load.refusals.get("storage_failed", 0) > before + 10, "commits fail")
                _says_what_is_wrong(bench)
            bench.accept_more(20)
    bench.recover()
    bench.notes["refused"] = load.refusals["storage_failed"]


@fault("fdatasync fails with EIO for good, then kill -9", strace)
def sync_fails_for_good(bench: Bench) -> None:
    bench.daemon.start()
    bench.backend.down()
    for first in bench.scale((1, 2), tuple(range(1, 16))):
        with bench.load(agents=4) as load, interfering(bench, f"fdatasync:error=EIO:when={first}+"):
            bench.until(lambda load=load: load.refusals.get("storage_failed", 0) >= 4, "commits fail")
            # What was refused may lie whole in the WAL. A crash now must not bring it back.
            bench.daemon.kill()
        bench.daemon.start()
    bench.backend.up()
    bench.recover()


@fault("fdatasync takes 200 ms", strace)
def sync_is_slow(bench: Bench) -> None:
    events, sync_s = bench.scale(150, 2000), 0.2
    bench.daemon.start()
    with interfering(bench, f"fdatasync:delay_enter={sync_s * 1e6:.0f}"), bench.load(agents=16) as load:
        started = time.monotonic()
        bench.accept_more(events, timeout_s=120)
        took_s = time.monotonic() - started
    bench.recover()
    bench.notes["slowest reply, ms"] = round(load.slowest_reply_s * 1000)
    bench.notes["events for each sync's time"] = f"{events / (took_s / sync_s):.1f}"
    assert took_s < events * sync_s / 3, "all who wait share a commit"


@fault("RLIMIT_FSIZE", program("prlimit"))
def file_size_limit(bench: Bench) -> None:
    bench.backend.down()
    bench.daemon.start(wrapper=["prlimit", "--fsize=400000:unlimited"])
    with bench.load(agents=4) as load:
        bench.until(lambda: load.refusals.get("storage_failed"), "the limit is met")
        _says_what_is_wrong(bench)
        subprocess.run(["prlimit", "--pid", str(bench.daemon.pid), "--fsize=unlimited"], check=True)
        bench.accept_more(50)
    bench.backend.up()
    bench.recover()
    bench.notes["refused"] = load.refusals["storage_failed"]


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@fault("a disk of 1 MiB, full, and emptied again", root, program("mount"))
def full_disk(bench: Bench) -> None:
    folder = bench.folder / "small"
    with _small_disk(folder, "1m"):
        bench.daemon = bench.make_daemon(state_dir=folder / "state", ballast_bytes=128 * 1024)
        filler = folder / "filler"
        bench.daemon.start()
        with bench.load(agents=4, pause_s=0.02) as load:  # slowly: delivered events keep a row each, for a day
            for _ in range(bench.scale(2, 5)):
                bench.accept_more(50)
                bench.backend.down()
                _fill(filler)
                before = load.refusals.get("storage_failed", 0)
                bench.until(lambda before=before: load.refusals.get("storage_failed", 0) > before + 20, "commands are refused")
                # Deliveries go on although nothing new can be accepted: the reserve is for their record.
                bench.backend.up()
                bench.until(lambda: bench.daemon.status()["outbox"]["pending"] == 0, "all is delivered on a full disk")
                _says_what_is_wrong(bench)
                filler.unlink()
                bench.accept_more(50)
        bench.recover()
        assert bench.daemon.stop() == 0
    bench.notes["refused"] = load.refusals["storage_failed"]


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            for size in (65536, 4096, 512, 1):
                while file.write(b"x" * size) == size:
                    pass
        except OSError:
            return


# ── A disk that destroys what it was given: then the promise is that every loss is found and told ───────────────────


def _accepted_and_killed(bench: Bench, *, folded: bool) -> Daemon:
    """A daemon that has accepted events for a backend that is down, and is not running any more."""
    bench.backend.down()
    bench.daemon.start()
    bench.send(bench.scale(40, 100), agents=4, per_task=8)
    if folded:
        assert bench.daemon.stop() == 0
        bench.daemon.start()
        bench.send(8, agents=2)
    bench.daemon.kill()
    bench.backend.up()
    return bench.daemon


def _damaged_copy(bench: Bench, original: Daemon, number: int) -> Daemon:
    """A daemon of its own over a copy of another's state."""
    copy = bench.make_daemon(folder=bench.folder / f"copy-{number}")
    shutil.copytree(original.state_dir, copy.state_dir)
    return copy


def _judge_damage(bench: Bench, copy: Daemon, what: str) -> None:
    """Starts a daemon over damaged state; what it does not deliver it must have reported."""
    bench.backend.forget()
    copy.start()
    status = bench.recover(copy)
    outbox = status["outbox"]
    bench.reported_gone = outbox["lost"] + outbox["dead_letters"]
    verdict = bench.verdict()
    assert verdict.holds, f"{what}: {verdict}; status: {status}"
    assert not verdict.reported or not status["healthy"], f"{what}: a loss is a problem that status tells"
    bench.notes["losses, all reported"] = bench.notes.get("losses, all reported", 0) + verdict.reported
    bench.notes["cases"] = bench.notes.get("cases", 0) + 1
    with_new = bench.ledger.accepted_count
    assert with_new, "something was at stake"
    copy.kill()
    shutil.rmtree(copy.folder)


@fault("WAL cut off at many offsets")
def wal_truncated(bench: Bench) -> None:
    original = _accepted_and_killed(bench, folded=False)
    wal = Path(f"{original.outbox_path}-wal")
    size = wal.stat().st_size
    draw = random.Random(5)
    cuts = [0, 32, size - 1, *(draw.randrange(size) for _ in range(bench.scale(2, 40)))]
    for number, cut in enumerate(cuts):
        bench.progress(f"cut {number + 1} of {len(cuts)}")
        copy = _damaged_copy(bench, original, number)
        with Path(f"{copy.outbox_path}-wal").open("r+b") as file:
            file.truncate(cut)
        _judge_damage(bench, copy, f"WAL of {size} bytes cut at {cut}")


@fault("bits flipped in the database and its WAL")
def bits_flipped(bench: Bench) -> None:
    original = _accepted_and_killed(bench, folded=True)
    draw = random.Random(6)
    count = bench.scale(6, 100)
    for number in range(count):
        bench.progress(f"flip {number + 1} of {count}")
        copy = _damaged_copy(bench, original, number)
        path = draw.choice([copy.outbox_path, copy.outbox_path, Path(f"{copy.outbox_path}-wal")])
        content = bytearray(path.read_bytes())
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        content[place] ^= 1 << bit
        path.write_bytes(content)
        _judge_damage(bench, copy, f"bit {bit} of byte {place} of {path.name}")


@fault("whole pages of the database overwritten")
def pages_destroyed(bench: Bench) -> None:
    original = _accepted_and_killed(bench, folded=True)
    with sqlite3.connect(original.outbox_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    draw = random.Random(7)
    pages = original.outbox_path.stat().st_size // 4096
    for number, page in enumerate(draw.sample(range(pages), min(pages, bench.scale(3, 25)))):
        bench.progress(f"page {page} of {pages}")
        copy = _damaged_copy(bench, original, number)
        with copy.outbox_path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(draw.randbytes(4096))
        _judge_damage(bench, copy, f"page {page + 1} of {pages}")

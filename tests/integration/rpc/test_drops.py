"""What comes out of a sandbox as files is taken in; what else somebody may have put there is refused, told and harmless."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawlog import drop, locations
from clawlog import spool as program_side
from clawlog.protocol import ids, spool
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until

SOMEBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def tmp(folder: Path) -> Path:
    path = folder / "tmp"
    path.mkdir(0o755)
    return path


@pytest.fixture
def env(folder: Path, tmp: Path) -> dict[str, str]:
    """What a program in a sandbox has: its temporary folder can be written to, the state folder cannot."""
    return {"CLAWLOG_STATE_DIR": str(folder / "state"), "TMPDIR": str(tmp)}


@pytest.fixture
def place(tmp: Path, folder: Path) -> Path:
    """The drop."""
    return tmp / f"clawlog-{os.geteuid()}" / locations.drop_key(str(folder / "state"))


@pytest.fixture
async def daemon(new_daemon: Any, env: dict[str, str]) -> RunningDaemon:
    daemon: RunningDaemon = new_daemon(env=env)
    await daemon.start()
    return daemon


def content(*requests: tuple[str, dict[str, Any]]) -> bytes:
    calls = [(method, {"event_id": ids.new_uuid(), **params}) for method, params in requests]
    return spool.encode("2026-02-28T09:00:00.000Z", calls, sandboxed=True)


def put(env: dict[str, str], *requests: tuple[str, dict[str, Any]]) -> Path:
    return Path(drop.put(content(*requests), env)[0])


def created(plain: PlainServer, **more: Any) -> tuple[str, dict[str, Any]]:
    return "task.create", {"title": "T", "task_id": "t", "base_url": plain.url, **more}


async def problems(daemon: RunningDaemon) -> str:
    return "\n".join((await daemon.call("daemon.status"))["problems"])


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def let_in(path: Path, mode: int) -> None:
    path.chmod(mode)


# ── What is meant to be there ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_is_taken_in_within_three_tenths_of_a_second(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], place: Path
) -> None:
    assert put(env, created(plain)) == place
    began = time.monotonic()
    await until(lambda: not list(place.glob("*.call")))
    assert time.monotonic() - began < 0.3
    await plain.until_events(1)
    assert [mode_of(each) for each in (place, place.parent)] == [0o700, 0o700]


async def test_files_of_spool_and_drop_are_of_one_order(
    new_daemon: Any, plain: PlainServer, env: dict[str, str], folder: Path
) -> None:
    def keep(method: str, params: dict[str, Any]) -> None:
        program_side.keep([(method, {"event_id": ids.new_uuid(), **params})], env)

    put(env, created(plain))
    keep("task.update", {"task_id": "t", "status": "running", "summary": "1"})
    put(env, ("task.update", {"task_id": "t", "status": "running", "summary": "2"}))
    keep("task.update", {"task_id": "t", "status": "done", "summary": "3"})
    daemon = new_daemon(env=env)
    await daemon.start()
    await daemon.flush()
    assert [each.body.get("summary") for each in plain.events] == [None, "1", "2", "3"]


async def test_what_came_by_the_socket_comes_after_what_lay_in_the_drop(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str]
) -> None:
    for number in range(5):
        put(env, created(plain, task_id=f"t{number}"))
        time.sleep(0.011)  # noqa: ASYNC251 - as long as another program takes to start, and nobody else has his turn
        await daemon.call("task.update", task_id=f"t{number}", status="running")


async def test_two_state_folders_have_two_drops(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], folder: Path
) -> None:
    where = put(env | {"CLAWLOG_STATE_DIR": str(folder / "other")}, created(plain))
    put(env, created(plain))
    await plain.until_events(1)
    assert len(list(where.glob("*.call"))) == 1


async def test_the_drop_of_a_project_is_emptied_once_a_task_has_named_it(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = folder / "project"
    (project / ".git").mkdir(parents=True)
    (project / "src").mkdir()
    await daemon.call("task.create", title="T", task_id="known", base_url=plain.url, cwd=str(project / "src"))
    monkeypatch.chdir(project / "src")
    await until(lambda: str(project) in "\n".join(drop.daemon(env).marks))
    (own,) = [each for each in drop.daemon(env).marks if each.startswith(str(project))]
    descriptor = drop.open_place(own)
    drop.put_in(descriptor, content(created(plain)))
    os.close(descriptor)
    await plain.until_events(2)
    assert (project / ".clawlog" / ".gitignore").read_text() == "*\n"
    await daemon.stop()
    await daemon.start()
    await until(lambda: drop.daemon(env).empties(own))


async def test_what_is_only_true_at_its_time_is_no_fault_later(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], place: Path
) -> None:
    put(env, created(plain), ("task.update", {"task_id": "t", "status": "done"}))
    put(env, ("task.heartbeat", {"task_id": "t"}), ("interrupt.delivered", {"task_id": "t", "interrupt_id": "x"}))
    put(env, ("task.heartbeat", {"task_id": "nobody-knows-it"}))
    await until(lambda: not list(place.glob("*.call")))
    assert not (place / "refused").exists()


# ── What somebody may have put there ───────────────────────────────────────────────────────────────────────────────


def half_a_file(path: Path, other: Path) -> None:
    path.write_bytes(content(("task.update", {}))[:-9])


def a_link(path: Path, other: Path) -> None:
    path.symlink_to(other)


def a_pipe(path: Path, other: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path, other: Path) -> None:
    path.mkdir()
    (path / "within").touch()


def a_gigabyte(path: Path, other: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def a_second_name(path: Path, other: Path) -> None:
    path.hardlink_to(other)


def a_device(path: Path, other: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a device")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero, which never ends


def of_somebody(path: Path, other: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path.write_bytes(content(("task.update", {"task_id": "t", "status": "done"})))
    os.chown(path, SOMEBODY, SOMEBODY)


@pytest.mark.parametrize(
    "make",
    [half_a_file, a_link, a_pipe, a_folder, a_gigabyte, a_second_name, a_device, of_somebody],
    ids=lambda each: each.__name__,
)
async def test_what_is_no_call_is_set_aside_and_holds_up_nothing(
    daemon: RunningDaemon,
    plain: PlainServer,
    env: dict[str, str],
    place: Path,
    folder: Path,
    make: Callable[[Path, Path], None],
) -> None:
    other = folder / "of-the-users-own"
    other.write_text("precious")
    put(env, created(plain))
    make(place / "00000000000000000001.call", other)
    put(env, ("task.update", {"task_id": "t", "status": "running"}))
    await plain.until_events(2)
    await until(lambda: [path.name for path in place.glob("*.call")] == [])
    assert other.read_text() == "precious"
    assert sorted(path.name for path in (place / "refused").iterdir()) == [
        f"00000000000000000001.call{end}" for end in ("", ".why")
    ]
    assert "could not be used: 1" in await problems(daemon)


@pytest.mark.parametrize("trap", ["a file", "a link", "a link in it"])
async def test_what_stands_where_refused_calls_go_leads_nowhere(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], place: Path, folder: Path, trap: str
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "profile").write_text("precious")
    put(env, created(plain))
    await plain.until_events(1)
    if trap == "a file":
        (place / "refused").touch()
    elif trap == "a link":
        (place / "refused").symlink_to(elsewhere)
    else:
        (place / "refused").mkdir()
        (place / "refused" / "00000000000000000001.call.why").symlink_to(elsewhere / "profile")
    half_a_file(place / "00000000000000000001.call", folder)
    put(env, ("task.update", {"task_id": "t", "status": "running"}))
    await plain.until_events(2)
    assert [path.name for path in elsewhere.iterdir()] == ["profile"]
    assert (elsewhere / "profile").read_text() == "precious"
    await daemon.call("task.get", task_id="t")


async def test_very_many_files_cost_the_daemon_nothing(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawlogd.rpc.spool_folder._MAX_DROP_ENTRIES", 2000)
    monkeypatch.setattr(drop, "MAX_ENTRIES", 1000)
    monkeypatch.setattr(drop, "places", lambda env: [str(place)])
    put(env, created(plain))
    await plain.until_events(1)
    for number in range(2001):
        os.close(os.open(place / f"{number}.call", os.O_CREAT, 0o600))

    async def is_told() -> bool:
        return "holds more than" in await problems(daemon)

    await until(is_told)
    began = time.monotonic()
    for _ in range(20):
        await daemon.call("task.update", task_id="t", status="running")
    assert time.monotonic() - began < 1.0
    with pytest.raises(drop.NoPlace, match="holds more than"):
        put(env, created(plain))


# ── Whose it is ────────────────────────────────────────────────────────────────────────────────────────────────────


def is_a_link(place: Path, folder: Path) -> None:
    (folder / "real").mkdir(0o700)
    place.parent.symlink_to(folder / "real")
    (folder / "real" / place.name).mkdir(0o700)


def is_itself_a_link(place: Path, folder: Path) -> None:
    place.parent.mkdir(0o700)
    (folder / "real").mkdir(0o700)
    place.symlink_to(folder / "real")


def is_open_to_others(place: Path, folder: Path) -> None:
    place.mkdir(0o700, parents=True)
    place.parent.chmod(0o755)


def lies_where_others_write(place: Path, folder: Path) -> None:
    place.mkdir(0o700, parents=True)
    place.parent.chmod(0o700)
    place.parents[1].chmod(0o777)


def belongs_to_somebody(place: Path, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    place.mkdir(parents=True)
    os.chown(place.parent, SOMEBODY, SOMEBODY)
    place.parent.chmod(0o755)


@pytest.mark.parametrize(
    "make",
    [is_a_link, is_itself_a_link, is_open_to_others, lies_where_others_write, belongs_to_somebody],
    ids=lambda each: each.__name__,
)
async def test_a_drop_that_is_not_ones_own_is_used_by_neither_side_and_told(
    daemon: RunningDaemon,
    plain: PlainServer,
    env: dict[str, str],
    place: Path,
    folder: Path,
    make: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(place, folder)
    (place / "00000000000000000001.call").write_bytes(content(created(plain, task_id="forged")))

    async def is_told() -> bool:
        return str(place) in await problems(daemon)

    await until(is_told)
    monkeypatch.setattr(locations, "drop_places", lambda env, key: [str(place)])
    monkeypatch.chdir(folder)  # the last place
    where = Path(drop.put(content(created(plain)), env)[0])
    assert where.parts[-2] == ".clawlog"
    assert [each["task_id"] for each in (await daemon.call("task.list"))["tasks"]] == []


@as_root
async def test_another_user_can_neither_read_nor_fill_nor_forge_nor_take_away(
    daemon: RunningDaemon, plain: PlainServer, env: dict[str, str], place: Path, tmp: Path, folder: Path
) -> None:
    let_in(folder, 0o755)
    let_in(tmp, 0o1777)
    put(env, created(plain))
    await plain.until_events(1)
    attempts = f"""
import os
def refused(action):
    try:
        action()
    except PermissionError:
        return
    raise SystemExit("not refused")
refused(lambda: os.listdir({str(place)!r}))
refused(lambda: os.listdir({str(place.parent)!r}))
refused(lambda: open({str(place / "1.call")!r}, "w"))
refused(lambda: os.rename({str(place.parent)!r}, {str(tmp / "taken")!r}))
refused(lambda: os.rmdir({str(place.parent)!r}))
refused(lambda: open({str(daemon.state_dir / "run" / "view" / "t")!r}))
refused(lambda: open({str(daemon.state_dir / "run" / "drops")!r}, "a"))
"""
    command = ["/usr/bin/python3", "-I", "-c", attempts]
    await asyncio.to_thread(subprocess.run, command, check=True, user=SOMEBODY, cwd="/", timeout=20)

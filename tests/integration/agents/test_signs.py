"""The files in which hooks leave signs of tools: read without losing a line, and believed no more than they deserve."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clawlog.protocol.agents import AGENTS
from clawlogd.errors import OutboxFull
from clawlogd.liveness.signs import Sign
from clawlogd.model import TaskStatus
from clawlogd.services import Services
from clawlogd.settings import Agents, Heartbeat
from support.backend_process import BackendProcess
from support.running_daemon import QUICK, RunningDaemon, until
from support.sessions import PlayedSession

Play = Callable[..., PlayedSession]


async def test_a_sign_is_a_sign_of_life_and_the_next_beats_summary(
    new_daemon: Callable[..., RunningDaemon], play: Play, embedded: BackendProcess
) -> None:
    quick = Heartbeat(interval_s=1.0, jitter_s=0.0)
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=embedded.url, heartbeat=quick))
    await daemon.start()
    hook = play(daemon)
    await hook("prompt", prompt="Go")
    await hook.sign("before Bash")

    async def summary() -> bool:
        return (await hook.at_backend())["summary"] == "Bash"

    await until(summary)


async def test_the_folders_are_there_and_the_users_own(daemon: RunningDaemon) -> None:
    for name in ("signs", "agent-stops"):
        for agent in AGENTS:
            assert stat.S_IMODE((daemon.state_dir / "run" / name / agent).stat().st_mode) == 0o700


async def test_a_sign_of_a_session_that_has_ended_or_is_not_known_is_dropped(
    daemon: RunningDaemon, hook: PlayedSession
) -> None:
    await hook("prompt", prompt="Go")
    unknown = hook.signs.with_name("unknown")
    unknown.write_text("before Bash\n")
    assert daemon.services.sessions.signs.read() == []
    assert not unknown.exists()
    await hook("session.ended")
    assert not hook.signs.exists()


async def test_files_of_an_earlier_run_are_dropped(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await daemon.stop()
    hook.signs.write_text("before Bash\n")
    await daemon.start()
    assert not hook.signs.exists()


async def test_a_removed_folder_is_made_anew_and_a_session_gets_its_file_when_it_is_heard_of(
    daemon: RunningDaemon, hook: PlayedSession
) -> None:
    await hook("prompt", prompt="Go")
    hook.signs.unlink()
    hook.signs.parent.rmdir()
    await until(hook.signs.parent.is_dir)
    await hook("tool.before", tool="Bash")
    assert hook.signs.exists()


async def test_links_pipes_and_folders_in_a_files_place_are_left_alone(
    daemon: RunningDaemon, hook: PlayedSession, tmp_path: Path
) -> None:
    await hook("prompt", prompt="Go")
    other = tmp_path / "other"
    other.write_text("before Secret\n")
    signs = daemon.services.sessions.signs
    for place in (
        lambda: hook.signs.symlink_to(other),
        lambda: os.mkfifo(hook.signs),
        hook.signs.mkdir,
        lambda: hook.signs.hardlink_to(other),
    ):
        hook.signs.rmdir() if hook.signs.is_dir() else hook.signs.unlink()
        place()
        found = signs.read()
        assert [each.tool for each in found] == (["Secret"] if hook.signs.is_file() and not hook.signs.is_symlink() else [])
    assert other.read_text() == "before Secret\n"


async def test_no_line_is_lost_while_a_hook_writes_and_the_file_stays_small(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    signs = daemon.services.sessions.signs
    lines, done = 20_000, threading.Event()

    def write() -> None:
        for number in range(lines):
            descriptor = os.open(hook.signs, os.O_WRONLY | os.O_APPEND)  # as the shell's >> does, but that it creates none
            os.write(descriptor, b"before Tool%06d\n" % number)
            os.close(descriptor)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    newest: list[Sign] = []
    most = 0
    while not done.is_set():
        newest += signs.read()
        most = max(most, hook.signs.stat().st_size)
    writer.join()
    for _ in range(2):
        newest += signs.read()
    assert newest[-1].tool == f"Tool{lines - 1:06}"
    assert [each.tool for each in newest] == sorted(each.tool for each in newest)
    assert most < 1024 * 1024
    assert hook.signs.stat().st_size < 32 * 1024


@pytest.mark.parametrize(
    ("line", "shown", "all_shown"),
    [
        ("before Bash", "Bash", "Bash"),
        ("before mcp__github__create_issue", "mcp__github__create_issue", "mcp__github__create_issue"),
        ("before Bash rm -rf /secret", "Bash", "Bash rm -rf /secret"),
        ("after Edit failed", "Edit failed", "Edit failed"),
        ("whatever", None, None),
        ("before", None, None),
    ],
)
async def test_of_a_tool_only_the_name_is_taken(
    new_daemon: Callable[..., RunningDaemon], play: Play, line: str, shown: str | None, all_shown: str | None
) -> None:
    daemon = new_daemon()  # whose backend is down, so that nobody but the test takes beats
    await daemon.start()
    hook = play(daemon)
    await hook("prompt", prompt="Go")
    for shares, expected in ((False, shown), (True, all_shown)):
        live = daemon.services.live_settings
        live.now = msgspec.structs.replace(live.now, agents=Agents(share_tools=shares))
        if expected is None:
            hook.signs.write_text(f"{line}\n")
            assert daemon.services.sessions.signs.read() == []
        else:
            await hook.sign(line)
        beat = daemon.services.liveness.beat(hook.task, "now")
        assert beat is not None
        assert beat.summary == expected


async def test_a_sign_shows_that_an_agent_lives_also_while_nothing_can_be_recorded(
    daemon: RunningDaemon, hook: PlayedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OutboxFull

    await hook("prompt", prompt="Go")
    await hook("waiting", question="May I?")
    with monkeypatch.context() as full:
        full.setattr(Services, "check_room", refuse)
        await hook.sign("before Bash")
        assert hook.task.status is TaskStatus.WAITING
    await hook.sign("after Bash")
    assert hook.task.status is TaskStatus.RUNNING

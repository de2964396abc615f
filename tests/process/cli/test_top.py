"""``clawlog top`` on a real terminal."""

from __future__ import annotations

import os
import signal
import termios

from process.cli.conftest import Clawlog
from support.installation import CLAWLOG, Installation, wait_until
from support.terminal import Screen, on_terminal

COMMAND = [*CLAWLOG, "top", "--interval", "0.1"]


def ended(screen: Screen) -> int:
    screen.until_it_ends()
    _, status = os.waitpid(screen.pid, 0)
    return os.waitstatus_to_exitcode(status)


def test_without_a_terminal_it_says_what_to_use(fresh: Installation, clawlog: Clawlog) -> None:
    ran = fresh.clawlog("top")
    assert (ran.status, ran.stdout) == (2, "")
    assert "use: clawlog tasks" in ran.stderr


def test_tasks_are_shown_live_and_keys_act_on_them(running: Installation) -> None:
    with running.client() as client, on_terminal(running, *COMMAND) as screen:
        screen.shows("daemon ok")
        task = client.create_task("看得见", ["第一步"], watch_pid=os.getpid())
        screen.shows("看得见")
        screen.type("/看得见\r")
        screen.shows('with "看得见": 1 of')
        client.update_step(task.task_id, 1, "running", summary="half way")
        screen.shows("half way")
        screen.type("s")
        screen.shows("press s again to stop: 看得见")
        screen.type("s")
        screen.shows("stop requested")
        wait_until(lambda: running.backend.task(task.task_id).stop is not None, "the backend has the request")
        screen.shows("Stopping")
        client.ack_interrupt(task.task_id)
        screen.type("a")
        screen.shows("Stopped")
        screen.type("q")
        assert ended(screen) == 0


def test_a_daemon_that_comes_is_found_and_one_that_goes_is_said(fresh: Installation) -> None:
    with on_terminal(fresh, *COMMAND) as screen:
        screen.shows("No daemon at")
        daemon = fresh.start_daemon()
        screen.shows("daemon ok")
        fresh.end(daemon)
        screen.shows("No daemon at")
        screen.type("q")
        assert ended(screen) == 0


def test_the_terminal_is_given_back_as_it_was(running: Installation) -> None:
    for press, status in (("q", 0), ("\x03", 130), (signal.SIGTERM, 143)):
        with on_terminal(running, *COMMAND) as screen:
            before = screen.settings()
            screen.shows("daemon ok")
            assert not screen.settings()[3] & termios.ECHO
            if isinstance(press, str):
                screen.type(press)
            else:
                os.kill(screen.pid, press)
            assert ended(screen) == status
            assert screen.settings() == before
            assert screen.shown.rstrip().endswith("\x1b[?25h\x1b[?1049l")  # the cursor, and what was on the screen


def test_it_draws_anew_when_the_terminals_size_changes(running: Installation) -> None:
    with on_terminal(running, *CLAWLOG, "top", "--interval", "60") as screen:
        screen.shows("daemon ok")
        screen.resize(10, 120)
        screen.shows("daemon ok")
        screen.type("q")
        assert ended(screen) == 0

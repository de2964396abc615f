"""``clawlog close``, ``acknowledge``, ``open`` and ``watch``, and ``stop`` for many: what a person does about tasks."""

from __future__ import annotations

import os
import subprocess

import pytest

from clawlog.cli.commands import open as open_command
from clawlog.cli.commands.watch import Watcher
from clawlog.connection.values import Progress
from process.cli.conftest import Clawlog
from process.cli.test_json import fits
from support.installation import Installation, wait_until


def lost(where: Installation, title: str) -> str:
    """A task whose watched process has ended."""
    gone = subprocess.Popen(["/bin/sleep", "30"])
    with where.client() as client:
        task = client.create_task(title, ["一"], watch_pid=gone.pid)
        client.update_step(task.task_id, 1, "running")
        gone.kill()
        gone.wait()
        wait_until(lambda: client.get_task(task.task_id)["liveness"]["state"] == "lost", "the daemon notices")
        assert client.flush().flushed
    return task.task_id


def failed(where: Installation, title: str) -> str:
    with where.client() as client:
        task = client.create_task(title)
        client.update_task(task.task_id, "failed", summary="no disk")
        assert client.flush().flushed
    return task.task_id


def test_a_task_whose_agent_is_gone_is_closed(running: Installation, clawlog: Clawlog) -> None:
    task_id = lost(running, "gone")
    assert "attention  Dead; seen by nobody yet" in clawlog(running, "show", task_id).stdout
    ran = clawlog(running, "close", task_id[-8:], "--status", "interrupted", "--reason", "machine was taken away")
    assert (ran.status, ran.stdout, ran.stderr) == (0, f"closed {task_id}\n", "")
    shown = running.backend.task_answer(task_id)
    assert (shown["status"], shown["closed"]["summary"], shown["attention"]) == ("interrupted", "machine was taken away", None)


def test_a_live_task_is_not_closed_and_holds_up_no_other(running: Installation, clawlog: Clawlog) -> None:
    gone = lost(running, "gone")
    with running.client() as client:
        alive = client.create_task("alive", watch_pid=os.getpid()).task_id
        client.update_task(alive, "running")
        client.heartbeat(alive)
        assert client.flush().flushed
    wait_until(lambda: running.backend.task(alive).liveness == "alive", "the backend knows that it lives")
    ran = clawlog(running, "close", alive, gone, "nowhere", "--json")
    assert ran.status == 65
    fits(ran.json, "clawlog-close-clawlog-acknowledge")
    errors = [each["error"] for each in ran.json["tasks"]]
    assert [error is None for error in errors] == [False, True, False]
    assert [line.split()[0] for line in ran.stderr.splitlines()] == ["clawlog:"] * 2
    assert running.backend.task(alive).status == "running"


def test_a_failure_that_was_seen_asks_for_attention_no_longer(running: Installation, clawlog: Clawlog) -> None:
    task_ids = [failed(running, "seen"), failed(running, "too")]
    assert clawlog(running, "acknowledge", *task_ids).stdout == "".join(f"acknowledged {each}\n" for each in task_ids)
    assert all(running.backend.task(each).attention.acknowledged_at for each in task_ids)
    assert "attention  Failed; seen by " in clawlog(running, "show", task_ids[0]).stdout
    assert clawlog(running, "acknowledge").status == 2


def test_a_task_that_waits_wants_an_answer_and_not_to_be_seen(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task_id = client.create_task("waits").task_id
        client.update_task(task_id, "waiting", summary="drop the column?")
        assert client.flush().flushed
    ran = clawlog(running, "acknowledge", task_id)
    assert (ran.status, ran.stdout) == (65, "")
    assert "(HTTP 409)" in ran.stderr
    row = next(line for line in clawlog(running, "tasks").stdout.splitlines() if line.startswith(task_id))
    assert row.split()[1:8] == ["?", "Needs", "you", "waits", "drop", "the", "column?"]
    shown = clawlog(running, "show", task_id).stdout
    assert shown.splitlines()[3] == "drop the column?"
    assert "it waits for an answer" in shown


def test_a_task_is_shown_with_its_plan_progress_links_parent_and_parts(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        parent = client.create_task("whole").task_id
        task_id = client.create_task("part", ["一"], parent_task_id=parent).task_id
        client.update_step(task_id, 1, "running", progress=Progress(318, 2480, "files"))
        client.add_step(task_id, "二")
        client.link_task(task_id, "https://ci.example/7", name="log")
        client.link_task(task_id, "https://git.example/pulls/7")
        assert client.flush().flushed
    lines = clawlog(running, "show", task_id).stdout.splitlines()
    assert lines[0] == "part  ● Working  318/2480 files"
    assert f"part of    whole (Working) {parent}" in lines
    assert lines[lines.index("links      log: https://ci.example/7") + 1] == "           https://git.example/pulls/7"
    assert "▶ 1 一  318/2480 files" in lines
    assert "· 2 二" in lines
    assert f"parts      part (Working) {task_id}" in clawlog(running, "show", parent).stdout.splitlines()
    row = next(line for line in clawlog(running, "tasks").stdout.splitlines() if line.startswith(task_id))
    assert "  ↳ part › 一 · 318/2480 files  " in row


def test_the_page_of_a_task_is_opened_or_its_address_printed(
    running: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running.client() as client:
        task_id = client.create_task("page").task_id
        assert client.flush().flushed
    page = f"{running.env['CLAWLOG_BASE_URL']}/tasks/{task_id}"
    opened: list[str] = []
    monkeypatch.setattr(open_command.webbrowser, "open", lambda url: not opened.append(url))
    monkeypatch.setattr(open_command.browser, "has_screen", lambda env: False)
    assert clawlog(running, "open", task_id[-10:]).stdout == f"{page}\n"
    assert clawlog(running, "open").stdout == f"{running.env['CLAWLOG_BASE_URL']}\n"
    monkeypatch.setattr(open_command.browser, "has_screen", lambda env: True)
    assert clawlog(running, "open", task_id, "--print").stdout == f"{page}\n"
    assert opened == []
    ran = clawlog(running, "open", task_id, "--json")
    fits(ran.json, "clawlog-open")
    assert (ran.json, opened) == ({"url": page, "opened": True}, [page])


def test_a_browser_of_the_terminal_is_not_opened() -> None:
    assert not open_command.browser.has_screen({"TERM": "xterm"})
    assert open_command.browser.has_screen({"WAYLAND_DISPLAY": "wayland-0"})


def test_what_happens_to_a_task_is_printed_until_it_ends(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task_id = client.create_task("watched", ["一"]).task_id
        client.update_step(task_id, 1, "running")
        assert client.flush().flushed
        assert clawlog(running, "watch", task_id, "--timeout", "0").status == 75
        watch = running.start_clawlog("watch", task_id[-8:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert watch.stdout is not None
        assert [watch.stdout.readline().split()[1:] for _ in range(2)] == [
            [b"created"],
            [b"step", b"1", b"running:", "一".encode()],
        ]
        client.update_task(task_id, "waiting", summary="go on?")
        assert watch.stdout.readline().rstrip().endswith(b"task waiting: go on?")
        client.add_step(task_id, "二")
        client.link_task(task_id, "https://ci.example/7", name="log")
        client.update_task(task_id, "done")
        out, err = watch.communicate(timeout=20)
    assert (watch.returncode, err) == (0, b"")
    told = [line.split("  ", 1)[1] for line in out.decode().splitlines()]
    assert told == ["task running", "step added: 二", "link log: https://ci.example/7", "task done"]
    kinds = [each["kind"] for each in clawlog(running, "watch", task_id, "--json").json_lines]
    assert kinds[:2] == ["task_created", "step_status"]
    assert kinds[-1] == "task_status"


def test_nothing_is_left_out_that_comes_faster_than_it_is_asked_for(
    running: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with running.client() as client:
        task_id = client.create_task("fast", ["一"]).task_id
        assert client.flush().flushed
        watcher = Watcher(running.backend, task_id, as_json=False)
        assert watcher.until(0) == 75
        for number in range(300):
            client.update_step(task_id, 1, "running", summary=f"n{number}")
        assert client.flush().flushed
    assert watcher.until(0) == 75
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert told == ["created", *(f"n{number}" for number in range(300))]


def test_many_tasks_are_stopped_at_once(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        about = {"project": "to-stop"}
        named = [client.create_task(f"s{number}", watch_pid=os.getpid(), metadata=about).task_id for number in range(3)]
        client.update_task(named[2], "done")
        client.create_task("other", metadata={"project": "goes-on"})
        assert client.flush().flushed
        ran = clawlog(running, "stop", "--project", "to-stop", "--reason", "wrong branch", "--json")
        assert ran.status == 0, ran.stderr
        assert {each["task_id"] for each in ran.json["tasks"]} == set(named[:2])
        for each in ran.json["tasks"]:
            fits(each, "clawlog-stop-task")
        ran = clawlog(running, "stop", *named)
        assert ran.status == 65  # one has ended; the others are asked all the same
        assert [line.split()[:2] for line in ran.stdout.splitlines()] == [[each[-8:], "requested"] for each in named[:2]]
        assert "(HTTP 409)" in ran.stderr
        ran = clawlog(running, "stop", named[2], named[0], "--wait", "--timeout", "0")
        assert ran.status == 65  # and the other one was waited for
        assert "timed out; the stop stays requested" in ran.stderr
        for each in named[:2]:
            assert client.check_interrupt(each, wait_s=10).reason == "wrong branch"
    assert clawlog(running, "stop").status == 2

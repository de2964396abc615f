"""``clawlog tasks`` and ``clawlog show``."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from process.cli.conftest import Clawlog
from support.installation import CLAWLOG, Installation, wait_until
from support.terminal import on_terminal


def test_tasks_are_listed_with_where_they_stand(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        about = {"project": "where they stand"}
        ended = client.create_task("已经结束", ["一", "二"], metadata=about)
        client.update_task(ended.task_id, "failed", summary="no disk")
        steps = ["检查本地环境", "编写配置文件"]
        going_on = client.create_task("部署 Nginx 服务", steps, watch_pid=os.getpid(), metadata=about)
        client.update_step(going_on.task_id, 1, "done")
        client.update_step(going_on.task_id, 2, "running")
    ran = clawlog(running, "tasks", "--project", "where they stand")
    assert ran.status == 0
    head, first, second = ran.stdout.splitlines()  # in a pipe: as wide as can be, with whole ids
    columns = ["ID", "STATE", "TITLE › STEP", "SUMMARY", "HOST", "AGENT", "PROGRESS", "LAST REPORT", "AGE"]
    assert re.split("  +", head) == columns
    assert re.split("  +", first)[:4] == [ended.task_id, "✗ Failed", "已经结束", "no disk"]  # what needs a person comes first
    assert re.split("  +", second)[:3] == [going_on.task_id, "● Working", "部署 Nginx 服务 › 编写配置文件"]
    assert "1/2 ▓▓░░░" in second
    assert "已经结束" not in clawlog(running, "tasks", "--active").stdout
    with running.client() as client:
        assert clawlog(running, "tasks", "--json").json["tasks"][0]["task_id"] == client.list_tasks()["tasks"][0]["task_id"]


def test_titles_are_shown_as_they_are_and_steer_nothing(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        client.create_task("[bold]not markup[/] :smile: \x1b[31mred", metadata={"project": "steers nothing"})
    shown = clawlog(running, "tasks", "--project", "steers nothing").stdout.splitlines()[1]
    assert "  [bold]not markup[/] :smile: red  " in shown


def test_tasks_can_be_chosen(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        for number in range(3):
            about = {"host": f"gpu-{number % 2}", "project": "chosen", "agent": "codex"}
            task = client.create_task(f"c{number}", metadata=about)
        client.update_task(task.task_id, "done")
    chosen = ("tasks", "--project", "chosen", "--json")

    def titles(*flags: str) -> list[str]:
        return [each["title"] for each in clawlog(running, *chosen, *flags).json["tasks"]]

    assert titles() == ["c2", "c1", "c0"]
    assert titles("--host", "gpu-0") == ["c2", "c0"]
    assert titles("--agent", "claude-code") == []
    assert titles("--status", "done") == ["c2"]
    assert titles("--limit", "1") == ["c1"]  # of the table's order, in which the ended one comes last
    assert clawlog(running, "tasks", "--project", "chosen", "--limit", "1").stdout.splitlines()[1].split()[3] == "c1"
    assert clawlog(running, "tasks", "--active", "--status", "done").status == 2


def test_a_fleet_is_listed_without_a_daemon(running: Installation, fresh: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("舰队", ["一"], metadata={"host": "gpu-7"})
        client.update_step(task.task_id, 1, "running")
        assert client.flush().flushed
    ran = clawlog(fresh, "tasks", "--backend", running.env["CLAWLOG_BASE_URL"])
    assert ran.status == 0, ran.stderr
    (row,) = (line for line in ran.stdout.splitlines() if line.startswith(task.task_id))
    assert "gpu-7" in row.split()
    assert "舰队 › 一" in row
    ran = clawlog(fresh, "tasks", "--backend", "http://127.0.0.1:9")
    assert (ran.status, ran.stdout) == (69, "")


def test_without_a_daemon_tasks_says_so(fresh: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(fresh, "tasks")
    assert (ran.status, ran.stdout) == (69, "")
    assert ran.stderr.startswith("clawlog: No daemon at ")


def test_no_tasks_is_said_on_stderr(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.start_daemon()
    ran = clawlog(fresh, "tasks")
    assert (ran.status, ran.stdout, ran.stderr) == (0, "", "clawlog: no tasks\n")


def test_a_task_is_shown_with_steps_life_stop_and_history(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("详情", ["一", "二"], watch_pid=os.getpid(), summary="all about it")
        client.update_step(task.task_id, 1, "done", summary="went well")
        client.update_step(task.task_id, 2, "running")
        assert client.flush().flushed
        running.backend.request_stop(task.task_id, reason="wrong host", requested_by="someone")
        wait_until(lambda: client.check_interrupt(task.task_id).interrupt_requested, "the daemon knows of the stop")
        client.ack_interrupt(task.task_id, summary="stopped after step 1")
        assert client.flush().flushed
    ran = clawlog(running, "show", task.task_id)
    assert (ran.status, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    url = running.env["CLAWLOG_BASE_URL"]
    assert lines[:4] == ["详情  ■ Stopped", f"{task.task_id} at {url}", f"{url}/tasks/{task.task_id}", "stopped after step 1"]
    assert "✓ 1 一  went well" in lines
    assert "▶ 2 二" in lines
    assert any(line.startswith("stop       requested ") and line.endswith(" by someone: wrong host") for line in lines)
    assert any(line.split()[0] == "acknowledged" and line.endswith('"stopped after step 1"') for line in lines if line)
    history = [line.split("  ", 1)[1] for line in lines[-7:]]
    assert history == [
        "created",
        "step 1 done: 一 · went well",
        "step 2 running: 二",
        "stop requested by someone: wrong host",
        "stop seen",
        "stop delivered",
        "stop acknowledged: stopped after step 1",
    ]


def test_a_live_task_is_shown_with_what_the_daemon_vouches_on(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("活着", watch_pid=os.getpid())
    assert f"agent      alive: process {os.getpid()} is running, last report " in clawlog(running, "show", task.task_id).stdout


def test_the_last_characters_of_an_id_will_do_where_no_other_has_them(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        for task_id, title in (("end-x71a2b", "one"), ("end-y71a2b", "two"), ("1a2b", "three"), ("beginning-7f3c", "four")):
            client.create_task(title, task_id=task_id)
    assert clawlog(running, "show", "x71a2b").stdout.startswith("one  ")
    assert clawlog(running, "show", "1a2b").stdout.startswith("three  ")  # whole, though others end so
    assert clawlog(running, "show", "7f3c").stdout.startswith("four  ")
    assert clawlog(running, "show", "beginnin").stdout.startswith("four  ")
    ran = clawlog(running, "show", "71a2b")
    assert (ran.status, ran.stdout) == (65, "")
    first, *listed = ran.stderr.splitlines()
    assert first == "clawlog: '71a2b' matches 2 tasks; give more of the last characters of the id:"
    assert sorted((line.split()[0], line.split()[-1]) for line in listed) == [("x71a2b", "one"), ("y71a2b", "two")]
    assert all(line.split()[2:4] == ["s", "ago"] for line in listed)
    ran = clawlog(running, "show", "f3c")
    assert (ran.status, ran.stdout) == (65, "")
    assert "(give at least 4 of an id's last characters)" in ran.stderr
    ran = clawlog(running, "show", "nowhere")
    assert (ran.status, ran.stdout) == (65, "")
    assert "the daemon knows no task 'nowhere', nor does http://127.0.0.1" in ran.stderr


def test_programs_get_both_sides_of_a_task(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("both", ["一"])
        assert client.flush().flushed
        found = clawlog(running, "show", task.task_id, "--json").json
        assert found["daemon"] == {**client.get_task(task.task_id), "stop": found["daemon"]["stop"]}
    assert (found["task_id"], found["base_url"], found["backend_error"]) == (
        task.task_id,
        running.env["CLAWLOG_BASE_URL"],
        None,
    )
    assert found["backend"]["events"][0]["kind"] == "task_created"


def test_a_task_of_another_machine_is_shown_from_the_backend(
    running: Installation, fresh: Installation, clawlog: Clawlog
) -> None:
    with running.client() as client:
        task = client.create_task("从别处来", ["一"])
        assert client.flush().flushed
    fresh.env["CLAWLOG_BASE_URL"] = running.env["CLAWLOG_BASE_URL"]
    for name in (task.task_id, task.task_id[-8:], task.task_id[:-2]):
        ran = clawlog(fresh, "show", name)
        assert ran.status == 0, ran.stderr
        assert ran.stdout.startswith("从别处来  ")
        assert "· 1 一" in ran.stdout


def test_with_the_backend_away_the_daemons_part_is_shown(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
    fresh.start_daemon()
    with fresh.client() as client:
        task = client.create_task("离线", ["一"])
    ran = clawlog(fresh, "show", task.task_id)
    assert ran.status == 0
    assert "waiting    1 event for its backend" in ran.stdout
    assert "no history: http://127.0.0.1:9 does not answer" in ran.stdout
    found = clawlog(fresh, "show", task.task_id, "--json").json
    assert found["backend"] is None
    assert "does not answer" in found["backend_error"]


def test_a_history_shows_its_steps_whatever_the_number_of_heartbeats(running: Installation, clawlog: Clawlog) -> None:
    with running.client() as client:
        task = client.create_task("三百", [f"part {number}" for number in range(1, 41)], watch_pid=os.getpid())
        for step in range(1, 31):
            client.update_step(task.task_id, step, "failed" if step == 7 else "done")
        client.update_step(task.task_id, 31, "running")
        assert client.flush().flushed
    at = client_time()
    beat = {"kind": "heartbeat", "task_id": task.task_id, "at": at, "agent_seen_at": at, "evidence": "command"}
    for first in (0, 150):
        several = [
            {**beat, "event_id": f"{task.task_id}-{n}", "summary": f"file {n} of 300"} for n in range(first, first + 150)
        ]
        running.post_to_backend("/api/events", {"events": several})
    lines = clawlog(running, "show", task.task_id).stdout.splitlines()
    assert "✓   1–6 6 steps done" in lines  # of a long plan what says nothing but its status stands together
    assert "✗     7 part 7" in lines
    assert "▶    31 part 31" in lines
    assert lines[-1].split("  ", 1)[1].startswith("heartbeat: file 299 of 300  × 200, until ")
    assert lines[-2].endswith("step 31 running: part 31")
    assert any(line.startswith("at least ") and line.endswith(" heartbeats without words left out") for line in lines)
    lines = clawlog(running, "show", task.task_id, "--lines", "3").stdout.splitlines()
    assert "30 earlier events left out: --all shows them" in lines
    assert [line.split("  ", 1)[1] for line in lines[-3:-1]] == ["step 30 done: part 30", "step 31 running: part 31"]
    lines = clawlog(running, "show", task.task_id, "--all").stdout.splitlines()
    assert [sum(text in line for line in lines) for text in (" created", "step 1 done: part 1", "part 40")] == [1, 1, 1]


def client_time() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def test_a_terminal_shows_what_it_has_room_for_and_says_what_it_leaves_out(running: Installation) -> None:
    about = {"project": "room"}
    with running.client() as client:
        for number in range(12):
            client.create_task(f"任务 {number}", watch_pid=os.getpid(), metadata=about)
        asks = client.create_task("问", watch_pid=os.getpid(), metadata=about)
        client.update_task(asks.task_id, "waiting", summary="a or b?")
    once_sized = ["sh", "-c", 'until [ "$(stty size)" = "14 80" ]; do :; done; exec "$@"', "sh"]
    with on_terminal(running, *once_sized, *CLAWLOG, "tasks", "--project", "room") as screen:
        screen.resize(14, 80)
        screen.until_it_ends()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.shown).splitlines()
    assert plain[0] == "Needs you 1 │ Working 12"
    assert plain[1].split() == ["ID", "STATE", "TITLE", "›", "STEP", "AGE"]
    assert plain[2].split()[:5] == [asks.task_id[-len(plain[2].split()[0]) :], "?", "Needs", "you", "问"]
    assert max(map(len, plain)) <= 80
    assert (len(plain), plain[-1]) == (13, "and 3 more: --limit N shows them")

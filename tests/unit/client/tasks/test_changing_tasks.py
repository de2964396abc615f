"""What a task does beside its steps: a plan that changes, waiting, progress, links, metadata. Each story for both forms."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from pathlib import Path

import pytest

import clawlog
from clawlog.connection import features
from clawlog.connection.values import NewStep, PlannedStep
from clawlog.protocol import spool as spool_format
from clawlog.protocol.errors import TASK_FINISHED, RpcError
from clawlog.tasks import pacing
from support.older_daemon import make_older
from support.scripted_daemon import STOP, ScriptedDaemon
from support.task_forms import Context, Form, settled, told, unknown_steps

# ── The plan ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_step_that_is_not_planned_is_added_behind_the_last_one_begun(daemon: ScriptedDaemon, form: Form) -> None:
    unknown_steps(daemon)
    async with form.task("T", ["check", "write"]) as task:
        async with Context(task.step("check")):
            pass
        async with Context(task.step("found on the way", "a lock is stale")):
            pass
        async with Context(task.step("found on the way")):
            pass
    added = daemon.only("step.add")
    assert (added["title"], added["after"]) == ("found on the way", f"{task.id}-1")
    assert told(daemon, "step.add", "step.update")[2:] == [
        ("step.update", "found on the way", "running", "a lock is stale"),
        ("step.add", "found on the way"),
        ("step.update", "found on the way", "running", "a lock is stale"),
        ("step.update", "found on the way", "done"),
        ("step.update", "found on the way", "running"),
        ("step.update", "found on the way", "done"),
    ]
    assert [step.title for step in task.steps] == ["check", "write", "found on the way"]


async def test_a_step_is_added_where_the_program_says(daemon: ScriptedDaemon, form: Form) -> None:
    unknown_steps(daemon)
    async with form.task("T", ["check", "write"]) as task, Context(task.step("found", after="write")):
        pass
    assert daemon.only("step.add")["after"] == "write"


async def test_a_step_that_another_process_added_is_not_added_twice(daemon: ScriptedDaemon, form: Form) -> None:
    unknown_steps(daemon, known=["theirs"])
    async with form.task("T") as task, Context(task.step("theirs")):
        pass
    assert "step.add" not in daemon.methods


async def test_a_wrong_step_is_named_with_its_task_and_the_known_steps(
    daemon: ScriptedDaemon, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    unknown_steps(daemon)
    async with form.task("Deploy", ["check"]) as task, Context(task.step(7)):
        pass
    assert "No step 7" in caplog.text
    assert "1 check (task 'Deploy')" in caplog.text
    with pytest.raises(clawlog.Refused, match="task 'Deploy'"):
        async with form.task("Deploy", ["check"], strict=True) as task, Context(task.step(7)):
            pass


async def test_of_steps_with_the_same_title_each_is_reported_in_turn(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["test", "fix", "test"]) as task:
        for title in ("test", "fix", "test", "test"):
            async with Context(task.step(title)):
                pass
    named = [each.params["step"][-1] for each in daemon.requests if each.method == "step.update"]
    assert "".join(named) == "11223333", "the last one again, when all have been begun"


async def test_without_a_daemon_an_added_step_waits_in_the_spool_with_its_id(
    form: Form, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", "/nonexistent/socket")
    async with form.task("T") as task, Context(task.step("found")):
        await settled(task.progress(1, 2))
    files = sorted((Path(env["CLAWLOG_STATE_DIR"]) / "spool").glob("*.call"))
    kept = [call for path in files for call in spool_format.decode(path.read_bytes()).requests]
    assert [method for method, _ in kept] == ["task.create", "step.add", "step.update", "step.update", "task.update"]
    assert kept[1][1]["step_id"] == kept[2][1]["step"] == kept[3][1]["step"]
    assert kept[3][1]["progress"] == {"done": 1, "total": 2}, "the newest count goes with the end; none waits by itself"


async def test_a_step_that_cannot_be_added_is_refused_once(
    daemon: ScriptedDaemon, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    unknown_steps(daemon)
    daemon.answers["step.add"] = RpcError(-32602, "title: the plan would have 201 steps")
    async with form.task("T") as task, Context(task.step("one too many")):
        pass
    assert len([each for each in caplog.records if each.name == "clawlog"]) == 1
    assert daemon.methods.count("step.update") == 1


async def test_a_plan_is_made_anew_and_steps_are_known_by_it(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["a"]) as task:
        steps = await settled(task.plan(["b", PlannedStep("c", "done"), NewStep("d", "s-d")]))
        async with Context(task.step("b")):
            pass
    assert [each.title for each in steps] == [each.title for each in task.steps] == ["b", "c", "d"]
    assert daemon.only("task.plan")["steps"][1] == {"title": "c", "status": "done"}
    assert [each.params["step"] for each in daemon.requests if each.method == "step.update"] == ["s-1", "s-1"]


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_waits_for_a_person_and_runs_again(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T") as task, Context(task.waiting("Drop the column?")):
        pass
    assert told(daemon) == [
        ("task.update", "waiting", "Drop the column?"),
        ("task.update", "running"),
        ("task.update", "done"),
    ]


async def test_a_wait_within_a_wait_gives_the_outer_question_back(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T") as task, Context(task.waiting("outer?")), Context(task.waiting("inner?")):
        pass
    assert [each[1:] for each in told(daemon)] == [
        ("waiting", "outer?"),
        ("waiting", "inner?"),
        ("waiting", "outer?"),
        ("running",),
        ("done",),
    ]


async def test_a_wait_that_is_left_by_an_error_is_over(daemon: ScriptedDaemon, form: Form) -> None:
    with pytest.raises(EOFError):
        async with form.task("T") as task, Context(task.waiting("Well?")):
            raise EOFError
    assert [each[1] for each in told(daemon)] == ["waiting", "running", "failed"]


# ── Progress ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_in_a_step_progress_is_the_steps_and_its_end_has_the_last_count(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["a"]) as task, Context(task.step("a")) as step:
        for n in range(1, 201):
            await settled(task.progress(n, 400, unit="files"))
        await settled(step.progress(201, 400, unit="files"))
    assert told(daemon, "step.update") == [
        ("step.update", "a", "running"),
        ("step.update", "a", "running", "1/400"),
        ("step.update", "a", "done", "201/400"),
    ], "the first, and the last; what is between would be sent a second later"


async def test_outside_of_a_step_progress_is_a_heartbeats_and_the_last_one_comes_before_the_end(
    daemon: ScriptedDaemon, form: Form
) -> None:
    async with form.task("T", ["a"]) as task:
        for n in range(1, 201):
            await settled(task.progress(n, summary=f"file {n}"))
    beats = [each.params for each in daemon.requests if each.method == "task.heartbeat" and "progress" in each.params]
    assert [(each["progress"]["done"], each["summary"]) for each in beats] == [(1, "file 1"), (200, "file 200")]
    assert daemon.methods[-1] == "task.update"


async def test_a_full_count_is_sent_at_once(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["a"]) as task, Context(task.step("a")):
        for n in (1, 2, 3, 3, 3):
            await settled(task.progress(n, 3))
        assert told(daemon, "step.update")[1:] == [
            ("step.update", "a", "running", "1/3"),
            ("step.update", "a", "running", "3/3"),
        ]


async def test_a_checkpoint_sends_what_is_new(daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "MIN_INTERVAL_S", 0.02)
    async with form.task("T") as task:
        await settled(task.progress(1))
        await settled(task.progress(2))
        await asyncio.sleep(0.05)
        await settled(task.checkpoint())
        beats = [each.params.get("progress") for each in daemon.requests if each.method == "task.heartbeat"]
        assert {"done": 2} in beats


def test_reports_are_often_at_first_and_then_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(pacing.time, "monotonic", lambda: now)
    paced = pacing.Paced()
    sent = []
    while now < 3600:
        paced.note(pacing.count(now, None, None), None)
        if paced.is_due():
            paced.take()
            sent.append(now)
        now += 0.25
    gaps = [after - before for before, after in itertools.pairwise(sent)]
    assert sent[0] == 0
    assert gaps[0] == pacing.MIN_INTERVAL_S
    assert max(gaps) <= pacing.MAX_INTERVAL_S + 0.25
    assert len(sent) < 500


class Number:
    """As numpy's and others' are."""

    def __index__(self) -> int:
        return 7

    def __float__(self) -> float:
        raise AssertionError("whole numbers stay whole")


async def test_numbers_of_other_libraries_count(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", ["a"]) as task, Context(task.step("a")):
        await settled(task.progress(Number()))
    assert told(daemon, "step.update")[-1] == ("step.update", "a", "done", "7")


@pytest.mark.parametrize("nonsense", ["three", None, math.nan, math.inf, -1, object()])
async def test_a_progress_that_is_none_is_a_warning(
    daemon: ScriptedDaemon, form: Form, caplog: pytest.LogCaptureFixture, nonsense: object
) -> None:
    async with form.task("T", ["a"]) as task, Context(task.step("a")):
        await settled(task.progress(nonsense))
        await settled(task.progress(1, unit="x" * 21))
    assert caplog.text.count("could not be made") == 2
    assert told(daemon)[-2:] == [("step.update", "a", "done"), ("task.update", "done")], "no report is lost for its count"


# ── Links and metadata ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_links(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T") as task:
        await settled(task.link("https://example.org/pull/7", "pull request"))
    sent = daemon.only("task.link")
    assert (sent["task_id"], sent["url"], sent["name"]) == (task.id, "https://example.org/pull/7", "pull request")


async def test_metadata_is_a_mapping_whose_changes_are_reported(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T", metadata={"branch": "main", "old": "x"}) as task:
        task.metadata["epoch"] = 3
        task.metadata.update(loss="0.25", branch="next")
        del task.metadata["old"]
        assert dict(task.metadata, command="") == {"branch": "next", "epoch": "3", "loss": "0.25", "command": ""}
    sent = [each.params["metadata"] for each in daemon.requests if each.method == "task.annotate"]
    assert sent == [{"epoch": "3"}, {"loss": "0.25", "branch": "next"}, {"old": None}]
    assert daemon.methods.index("task.annotate") < daemon.methods.index("task.update"), "in order, and before the end"


async def test_metadata_from_another_thread_is_reported_too(daemon: ScriptedDaemon, form: Form) -> None:
    async with form.task("T") as task:
        await asyncio.to_thread(lambda: task.metadata.update(from_="a thread"))
    assert daemon.only("task.annotate")["metadata"] == {"from_": "a thread"}


# ── What it says of itself ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_says_what_it_is(daemon: ScriptedDaemon, form: Form) -> None:
    polite = daemon.answers["task.create"]
    daemon.answers["task.create"] = lambda params: {**polite(params), "url": f"http://b/tasks/{params['task_id']}"}
    async with form.task("Deploy", ["check"]) as task:
        assert task.id == task.task_id
        assert task.url == f"http://b/tasks/{task.id}"
        async with Context(task.step("check")):
            assert f"'Deploy' {task.id} running in step 'check' http://b/tasks/{task.id}>" in repr(task)
    assert f"'Deploy' {task.id} done" in repr(task)
    assert "not begun" in repr(clawlog.task("T"))


# ── An older daemon ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_older_daemon_is_told_in_lines(
    daemon: ScriptedDaemon, form: Form, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "_warned", set())
    make_older(daemon)
    unknown_steps(daemon)
    async with form.task("T", ["a"], metadata={"k": "v"}) as task:
        async with Context(task.step("found", "looking")):
            await settled(task.progress(3, 4))
        async with Context(task.waiting("Well?")):
            pass
        await settled(task.link("https://x"))
        task.metadata["k"] = "w"
        await settled(task.plan(["b"]))
    lines = [
        each.params["summary"] for each in daemon.requests if each.method == "task.heartbeat" and "progress" not in each.params
    ]
    assert lines == [
        "new step: found",
        "found: looking",
        "3/4 found: running",
        "3/4 found: done",
        "https://x",
        "k: w",
        "plan: b",
    ]
    assert told(daemon, "task.update")[-3:] == [
        ("task.update", "running", "Well?"),
        ("task.update", "running"),
        ("task.update", "done"),
    ]
    ours = [each for each in caplog.records if each.name == "clawlog"]
    assert len(ours) == 6, "one line for each: step.add, progress, waiting, links, metadata, plans"


async def test_what_comes_after_the_end_is_a_warning(
    daemon: ScriptedDaemon, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    async with form.task("T") as task:
        pass
    daemon.answers["task.link"] = RpcError(TASK_FINISHED, "Task t is done")
    await settled(task.link("https://x"))
    assert "task.link was not accepted: Task t is done (task 'T')" in caplog.text


async def test_a_stop_within_a_wait_is_acknowledged(daemon: ScriptedDaemon, form: Form) -> None:
    daemon.answers["interrupt.watch"] = STOP
    with contextlib.suppress(clawlog.SoftStop):
        async with form.task("T") as task, Context(task.waiting("Well?")):
            await settled(task.checkpoint())
    assert task.stopped
    assert daemon.methods[-1] == "interrupt.ack"

"""What hooks report becomes a task at the backend: its title, its turns, its waits, its end, also after it had ended."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import uuid
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from clawlog import locations
from clawlog.protocol.agents import agent_task_id
from clawlog.protocol.errors import RpcError
from clawlogd.clock import SystemClock
from clawlogd.context import CallContext
from clawlogd.settings import Agents, Heartbeat, Metadata, OutboxBounds
from clawlogd.upstream.controls import Control
from clawlogd.verbs import agents
from support.backend_process import BackendProcess
from support.running_backend import Api
from support.running_daemon import QUICK, RunningDaemon, until
from support.sessions import PlayedSession, a_moment_later
from support.sidecar import SteppedClock

Play = Callable[..., PlayedSession]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def test_a_prompt_makes_a_task_and_each_turn_is_a_step(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Fix the parser\nand all of its tests", agent_version="2.1.332")
    assert hook.task_id == agent_task_id(locations.machine_id(), os.geteuid(), "claude-code", hook.session_id)
    task = await hook.at_backend()
    assert (task["title"], task["status"]) == ("Fix the parser", "running")
    assert task["metadata"] == {"agent": "claude-code", "agent_version": "2.1.332"}
    await hook("turn.ended", reason="completed")
    task = await hook.at_backend()
    assert (task["status"], task["summary"]) == ("waiting", "waits for the next prompt")
    await hook("prompt", prompt="Now the docs")
    await hook("turn.ended", failed=True)
    await hook("prompt", prompt="Again")
    await hook("turn.ended", reason="interrupted")
    assert await hook.steps() == [("Fix the parser", "done"), ("Now the docs", "failed"), ("Again", "skipped")]
    await hook("session.ended", reason="exit")
    assert (await hook.at_backend())["status"] == (await hook.here())["status"] == "done"


async def test_a_session_that_begins_waits_a_moment_for_the_prompt_that_is_its_title(
    daemon: RunningDaemon, hook: PlayedSession
) -> None:
    begins = asyncio.create_task(hook("session.started", cwd="/", pid=os.getpid()))
    other = await daemon.connect()
    await until(lambda: daemon.services.sessions.openings)
    request = (
        '{"jsonrpc":"2.0","id":1,"method":"agent.event","params":'
        f'{{"agent":"claude-code","session_id":"{hook.session_id}","event":"prompt","prompt":"Count to five"}}}}'
    )
    await other.send(request.encode())
    await other.receive()
    await begins
    task = await hook.at_backend()
    assert (task["title"], task["status"]) == ("Count to five", "running")
    assert [each["kind"] for each in task["events"]].count("task_created") == 1

    async def is_alive() -> bool:  # its first beat follows on a timer of its own
        return bool((await hook.at_backend())["liveness"]["state"] == "alive")

    await until(is_alive)


async def test_a_session_without_a_prompt_waits_for_its_first(hook: PlayedSession) -> None:
    await hook("session.started")
    task = await hook.at_backend()
    assert (task["status"], task["summary"]) == ("waiting", "waits for the first prompt")
    assert task["title"].startswith("claude-code · ")
    for prompt in ("Count to five", "And to six"):
        await hook("prompt", prompt=prompt)
        task = await hook.at_backend()
        assert (task["status"], task["title"], (await hook.here())["title"]) == ("running", "Count to five", "Count to five")
    retitled = [(each["title"], each["metadata"]) for each in task["events"] if each["kind"] == "metadata"]
    assert retitled == [("Count to five", {})]


async def test_the_agents_own_plan_is_the_plan_and_turns_stay_in_it(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Ship it")
    await hook("plan", plan=[{"title": "look", "status": "running"}, {"title": "write"}])
    await hook("plan", plan=[{"title": "look", "status": "done"}, {"title": "write", "status": "running"}])
    assert await hook.steps() == [("Ship it", "running"), ("look", "done"), ("write", "running")]
    await hook("turn.ended")
    await hook("prompt", prompt="Go on")  # the plan goes on: no step of its own
    assert await hook.steps() == [("Ship it", "done"), ("look", "done"), ("write", "running")]
    await hook("plan", plan=[{"title": "look", "status": "done"}, {"title": "write", "status": "done"}])
    await hook("prompt", prompt="Another")
    await hook("plan", plan=[{"title": "test", "status": "pending"}])
    assert await hook.steps() == [
        ("Ship it", "done"),
        ("look", "done"),
        ("write", "done"),
        ("Another", "running"),
        ("test", "pending"),
    ]


async def test_a_session_of_very_many_turns_keeps_the_newest_steps(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="first of all")
    for number in range(204):
        await hook("prompt", prompt=f"turn {number}")
    steps = await hook.steps()
    assert len(steps) == 200
    assert (steps[0][0], steps[-1]) == ("turn 4", ("turn 203", "running"))
    plan = [{"title": f"part {number}", "status": "done"} for number in range(250)]
    await hook("plan", plan=plan)
    assert [title for title, _ in await hook.steps()] == [f"part {number}" for number in range(50, 250)]
    assert not daemon.services.outbox.counts.waiting


async def test_a_question_is_shown_until_the_agent_works_again(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await hook("tool.before", tool="Bash")
    await a_moment_later()
    await hook("waiting", tool="Bash")
    task = await hook.at_backend()
    assert (task["status"], task["summary"], task["attention"]["reason"]) == ("waiting", "may it use Bash?", "waiting")
    await a_moment_later()
    await hook("waiting")  # the same, by another event
    assert (await hook.at_backend())["summary"] == "may it use Bash?"
    await a_moment_later()
    await hook("tool.after", tool="Bash")
    assert (await hook.at_backend())["status"] == "running"
    await a_moment_later()
    await hook("waiting", question="Which branch? (main or develop)")
    assert (await hook.at_backend())["summary"] == "Which branch? (main or develop)"
    await a_moment_later()
    await hook.sign("after AskUserQuestion")
    assert (await hook.at_backend())["status"] == "running"


async def test_what_it_asks_is_not_covered_by_the_tool_that_it_was_at(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go", pid=os.getpid())
    await hook("tool.before", tool="Bash")
    await a_moment_later()
    await hook("waiting", tool="Bash")
    beat = daemon.services.liveness.beat(hook.task, _now())
    assert beat is not None
    assert beat.summary is None


async def test_after_a_turn_only_a_prompt_goes_on(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await hook("turn.ended")
    await a_moment_later()
    for event, params in (
        ("tool.before", {"tool": "memory"}),
        ("tool.after", {"tool": "memory"}),
        ("waiting", {"question": "it is idle"}),
        ("plan", {"plan": [{"title": "late", "status": "done"}]}),
        ("turn.ended", {}),
    ):
        await hook(event, **params)
    await hook.sign("before memory")
    task = await hook.at_backend()
    assert (task["status"], task["summary"]) == ("waiting", "waits for the next prompt")
    assert await hook.steps() == [("Go", "done"), ("late", "done")]
    assert [each.get("status") for each in task["events"] if each["kind"] == "task_status"] == ["running", "waiting"]


async def test_reports_that_overtake_each_other_do_not_undo_what_is_newer(hook: PlayedSession) -> None:
    early, middle, late = "2026-01-02T03:04:05.100Z", "2026-01-02T03:04:05.200Z", "2026-01-02T03:04:05.300Z"
    await hook("prompt", prompt="One", at=early)
    await hook("prompt", prompt="Two", at=late)
    await hook("turn.ended", at=middle)
    await hook("waiting", tool="Bash", at=middle)
    await hook("session.ended", at=middle)
    assert (await hook.at_backend())["status"] == "running"
    assert await hook.steps() == [("One", "skipped"), ("Two", "running")]


async def test_a_prompt_that_arrives_after_the_end_of_its_turn_is_a_turn_that_is_over(hook: PlayedSession) -> None:
    await hook("session.started", at="2026-01-02T03:04:05.000Z")
    await hook("turn.ended", at="2026-01-02T03:04:06.200Z")
    await hook("prompt", prompt="Quick", at="2026-01-02T03:04:06.000Z")
    assert await hook.steps() == [("Quick", "done")]
    assert (await hook.at_backend())["status"] == "waiting"


async def test_a_plan_that_the_sessions_end_has_overtaken_still_counts(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await hook("plan", plan=[{"title": "Read", "status": "running"}])
    await a_moment_later()
    planned_at = _now()
    await a_moment_later()
    await hook("turn.ended")
    await a_moment_later()
    await hook("session.ended")
    await hook("plan", plan=[{"title": "Read", "status": "done"}, {"title": "Write", "status": "done"}], at=planned_at)
    assert await hook.steps() == [("Go", "done"), ("Read", "done"), ("Write", "done")]
    assert (await hook.at_backend())["status"] == "done"
    await a_moment_later()
    await hook("plan", plan=[])  # what is newer than the end is none of it
    assert ("Read", "done") in await hook.steps()


async def test_a_session_that_had_ended_is_taken_up_again(hook: PlayedSession) -> None:
    await hook("prompt", prompt="One")
    await hook("session.ended")
    await a_moment_later()
    for event in ("tool.after", "turn.ended", "plan", "session.ended", "waiting"):
        assert (await hook(event, **({"plan": []} if event == "plan" else {})))["decision"] == "go"
    assert (await hook.at_backend())["status"] == "done"
    await hook("session.started", resumed=True)
    assert (await hook.at_backend())["status"] == "waiting"
    await hook("prompt", prompt="Two")
    assert (await hook.at_backend())["status"] == "running"
    assert await hook.steps() == [("One", "done"), ("Two", "running")]


async def test_a_killed_agent_is_lost_at_once_and_back_with_its_next_process(
    daemon: RunningDaemon, hook: PlayedSession
) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    await hook("prompt", prompt="Go", pid=process.pid)
    assert (await hook.here())["liveness"]["evidence"] == "process"
    process.kill()
    await process.wait()
    await until(lambda: daemon.services.registry.get(hook.task_id).lost_ms is not None)
    assert (await hook.at_backend())["liveness"]["state"] == "lost"
    assert not hook.signs.exists()
    await a_moment_later()
    await hook("session.started", resumed=True, pid=os.getpid())
    task = await hook.at_backend()
    assert (task["status"], task["liveness"]["state"]) == ("waiting", "alive")
    assert hook.signs.exists()


async def test_an_agent_that_ends_before_its_last_report_is_heard_was_never_lost(
    daemon: RunningDaemon, hook: PlayedSession
) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    await hook("prompt", prompt="Go", pid=process.pid)
    process.kill()
    await process.wait()
    await until(lambda: daemon.services.liveness.judge(hook.task).evidence is None)
    await hook("session.ended")
    task = await hook.at_backend()
    assert task["status"] == "done"
    assert "agent_lost" not in [each["kind"] for each in task["events"]]


async def test_an_agent_that_ends_between_two_turns_without_a_word_is_done(daemon: RunningDaemon, hook: PlayedSession) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    await hook("prompt", prompt="Go", pid=process.pid)
    await hook("turn.ended")
    process.kill()
    await process.wait()
    await until(lambda: hook.task.status.ended)
    task = await hook.at_backend()
    assert (task["status"], [each["kind"] for each in task["events"]].count("agent_lost")) == ("done", 0)
    assert not hook.hold.exists()
    await a_moment_later()
    await hook("prompt", prompt="Go on", pid=os.getpid())
    assert (await hook.at_backend())["status"] == "running"


async def test_an_agent_that_ends_while_it_asks_is_lost(daemon: RunningDaemon, hook: PlayedSession) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    await hook("prompt", prompt="Go", pid=process.pid)
    await hook("waiting", question="Which?")
    process.kill()
    await process.wait()
    await until(lambda: hook.task.lost_ms is not None)


async def test_what_a_killed_agent_had_said_is_no_sign_of_life(daemon: RunningDaemon, hook: PlayedSession) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    await hook("prompt", prompt="Go", pid=process.pid)
    process.kill()
    await process.wait()
    await until(lambda: daemon.services.registry.get(hook.task_id).lost_ms is not None)
    for event in ("tool.before", "tool.after", "turn.ended", "waiting", "prompt", "session.started"):
        await hook(event, at="2026-01-02T03:04:05.678Z")
    assert (await hook.at_backend())["liveness"]["state"] == "lost"
    await hook("session.ended", at=_now())
    assert (await hook.at_backend())["status"] == "done"


async def test_a_prompt_takes_up_an_ended_session_with_its_new_process(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="One")
    await hook("session.ended")
    await a_moment_later()
    await hook("prompt", prompt="Two", pid=os.getpid())
    assert (await hook.here())["liveness"]["evidence"] == "process"


async def test_a_session_without_a_process_is_quiet_after_its_lease_and_lost_much_later(
    new_daemon: Callable[..., RunningDaemon], play: Play, embedded: BackendProcess
) -> None:
    settings = msgspec.structs.replace(
        QUICK, base_url=embedded.url, heartbeat=Heartbeat(lease_s=5.0), agents=Agents(lost_after_s=60.0)
    )
    clock = SteppedClock()
    daemon = new_daemon(settings, clock=clock)
    await daemon.start()
    works, waits = play(daemon), play(daemon)
    for hook in (works, waits):
        await hook("prompt", prompt="Go")
    await waits("turn.ended")
    states = []
    for seconds in (4, 10, 50):
        clock.pass_(seconds)
        daemon.services.heartbeats.tick()
        states.append([(await hook.here())["liveness"]["state"] for hook in (works, waits)])
    assert states == [["alive", "waiting"], ["quiet", "waiting"], ["lost", "waiting"]]


async def test_a_subagent_is_a_step_and_changes_nothing_else(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await hook("session.started", subagent_id="a1", tool="explore")
    await hook("tool.before", subagent_id="a1", tool="Bash")
    assert await hook.steps() == [("Go", "running"), ("Subagent: explore", "running")]
    await hook("turn.ended", subagent_id="a1")
    assert await hook.steps() == [("Go", "running"), ("Subagent: explore", "done")]
    assert (await hook.at_backend())["status"] == "running"


async def test_two_sessions_of_one_agent_are_two_tasks(play: Play, daemon: RunningDaemon) -> None:
    one, other, same_id = play(daemon), play(daemon), play(daemon, "codex")
    same_id.session_id = one.session_id
    for each in (one, other, same_id):
        await each("prompt", prompt=f"of {each.agent}")
    assert len({one.task_id, other.task_id, same_id.task_id}) == 3


async def test_a_repeated_report_changes_nothing(hook: PlayedSession) -> None:
    event_id = "01900000-0000-7000-8000-00000000abcd"
    first = await hook("prompt", prompt="Go", event_id=event_id)
    assert await hook("prompt", prompt="Go", event_id=event_id) == first
    assert await hook.steps() == [("Go", "running")]


async def test_a_restart_in_the_middle_changes_nothing(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="One")
    await hook("plan", plan=[{"title": "look", "status": "running"}])
    await hook("session.started", subagent_id="a1")
    await daemon.stop()
    await daemon.start()
    assert not hook.signs.exists()
    await hook("tool.before", tool="Bash")
    assert hook.signs.exists()
    await hook("plan", plan=[{"title": "look", "status": "done"}])
    await hook("session.ended", subagent_id="a1")
    await hook("turn.ended")
    assert await hook.steps() == [("One", "done"), ("Subagent 1", "done"), ("look", "done")]


async def test_a_task_that_was_forgotten_here_goes_on_at_its_backend(daemon: RunningDaemon, hook: PlayedSession) -> None:
    await hook("prompt", prompt="One")
    await hook("session.ended")
    await daemon.flush()
    daemon.services.registry.forget(hook.task_id)
    await daemon.services.outbox.committed()
    await hook("prompt", prompt="Two")
    task = await hook.at_backend()
    assert (task["status"], [each["title"] for each in task["steps"]]) == ("running", ["One", "Two"])
    assert not (await daemon.call("deadletter.list"))["dead_letters"]


async def test_where_it_works_and_who_runs_it_is_found_out(
    new_daemon: Callable[..., RunningDaemon], play: Play, embedded: BackendProcess, tmp_path: Path
) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / ".git" / "HEAD").write_text("ref: refs/heads/develop\n")
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=embedded.url, metadata=Metadata()))
    await daemon.start()
    hook = play(daemon)
    await hook("tool.before", tool="Bash", cwd=str(tmp_path / "shop"))
    task = await hook.at_backend()
    assert task["title"].startswith("shop · ")
    assert task["status"] == "running"
    metadata = task["metadata"]
    assert (metadata["project"], metadata["branch"], metadata["cwd"]) == ("shop", "develop", str(tmp_path / "shop"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_process_that_is_gone_is_no_reason_to_refuse_a_report(hook: PlayedSession) -> None:
    assert (await hook("prompt", prompt="Go", pid=2**31 - 1))["decision"] == "go"


class _PutBack(SystemClock):
    """The machine's clock, once it has been put back."""

    by_ms = 0

    def wall_ms(self) -> int:
        return super().wall_ms() - self.by_ms


async def test_a_person_is_heard_though_the_clock_was_put_back(new_daemon: Callable[..., RunningDaemon], api: Api) -> None:
    clock = _PutBack()
    daemon = new_daemon(clock=clock)
    await daemon.start()
    hook = PlayedSession(daemon, api, "codex", "s")
    await hook("prompt", prompt="One")
    daemon.services.interrupts.observe(hook.task, Control(interrupt_requested=True, interrupt_id="i"))
    assert (await hook("tool.before", tool="Bash"))["decision"] == "stop"
    clock.by_ms = 3_600_000
    assert (await hook("prompt", prompt="Two"))["decision"] == "go"
    task = await hook.here()
    assert (task["status"], [each["status"] for each in task["steps"]]) == ("running", ["skipped", "running"])
    assert not hook.hold.exists()


async def test_a_report_for_which_there_is_no_room_is_not_taken_in_part(
    new_daemon: Callable[..., RunningDaemon], api: Api
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, outbox=OutboxBounds(max_events=3)))
    await daemon.start()
    hook, event_id = PlayedSession(daemon, api, "codex", "s"), str(uuid.uuid4())
    with pytest.raises(RpcError, match="wait for delivery"):
        await hook("prompt", prompt="One", event_id=event_id)
    daemon.services.live_settings.now = QUICK
    await hook("prompt", prompt="One", event_id=event_id)
    assert hook.task.session is not None
    assert (hook.task.session.turns, len(hook.task.steps)) == (1, 1)


async def test_a_report_whose_caller_goes_before_it_is_begun_leaves_nothing_behind(daemon: RunningDaemon) -> None:
    report = agents.AgentReport(agent="claude-code", session_id=str(uuid.uuid4()), event="prompt", prompt="Tidy up")
    taken = agents.event(daemon.services, report, CallContext(daemon.services.clock.wall_ms()))
    assert inspect.iscoroutine(taken)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        taken.close()  # as the dispatcher does
        del taken
        gc.collect()
    assert [str(each.message) for each in warned] == []

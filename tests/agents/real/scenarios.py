"""What each real agent has to show, judged by what a person sees at the backend and by what the agent's commands wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from agents.real.cache import packages
from agents.real.processes import until
from agents.real.rig import Rig, Task, event_text
from clawlog.protocol.agents import ENDED_BY_HOOK
from support.models.script import Script, Turn

LOST_WITHIN_S = 20.0
PLANNERS = frozenset({"claude-code", "codex", "gemini-cli", "qwen-code", "opencode"})
"""The agents that have a plan tool, or get one from ``--with-plans``."""

Progress = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """What a scenario showed.

    Attributes:
        shown: What was as it has to be.
        failed: What was not, with what was seen instead.
        figures: Measurements by name.
    """

    shown: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def check(self, name: str, holds: object, seen: object = "") -> None:
        """Notes whether something was as it has to be."""
        if holds:
            self.shown.append(name)
        else:
            self.failed[name] = str(seen)


def _plan(*done: str, doing: str = "") -> tuple[tuple[str, str], ...]:
    titles = ("Say one", "Say two", "Report")
    return tuple((title, "completed" if title in done else "in_progress" if title == doing else "pending") for title in titles)


SESSION = Script(
    "session",
    (
        Turn("I plan three steps.", plan=_plan(doing="Say one")),
        Turn("The first.", shell=("./say one",)),
        Turn("Next.", plan=_plan("Say one", doing="Say two")),
        Turn("The second, which takes a while.", shell=("./say two wait",)),
        Turn("One that fails.", shell=("./say fails fail",)),
        Turn("Two at once.", shell=("./say left", "./say right")),
        Turn("A subagent.", subagent="Look around."),
        Turn("Last.", plan=_plan("Say one", "Say two", "Report")),
        Turn("All is done."),
    ),
)
HELLO = Script("hello", (Turn("One tool.", shell=("./say hello",)), Turn("Hello.")))
STOPPED = Script(
    "stopped",
    (
        Turn("One.", shell=("./say one",)),
        Turn("Two.", shell=("./say two wait",)),
        Turn("Three and four.", shell=("./say three", "./say four")),
        Turn("Five.", shell=("./say five",)),
        Turn("I end."),
        Turn("After the stop.", shell=("./say six",)),
        Turn("I end again."),
    ),
)
KILLED = Script("killed", (Turn("Long.", shell=("./say long sleep",)), Turn("Done.")))
FIRST, SECOND = (
    Script(name, (Turn("One.", shell=(f"./say {name} wait",)), Turn("More.", shell=(f"./say more-{name}",)), Turn("Done.")))
    for name in ("first", "second")
)


@contextlib.contextmanager
def hooked(name: str, *scripts: Script) -> Iterator[Rig]:
    """A rig with a daemon and the hooks installed; what went on is told with an error."""
    with Rig(name, *scripts) as rig:
        rig.start_daemon()
        rig.install()
        try:
            yield rig
        except Exception as error:
            error.add_note(rig.diagnosis())
            raise


def statuses(task: Task) -> list[str]:
    """The statuses that the agent's side reported, in order."""
    return [event["status"] for event in task["events"] if event["kind"] == "task_status" and event.get("status")]


def is_done(task: Task) -> bool:
    return bool(task["status"] == "done")


# ── A session ──────────────────────────────────────────────────────────────────────────────────────────────────────


def session(name: str, result: Result, progress: Progress) -> None:
    """A session from its first prompt to its end, and the same resumed."""
    with hooked(name, SESSION, HELLO) as rig:
        progress("a session")
        run = rig.start("session", say="Tidy the cellar")
        rig.until_there("two-runs")
        shared = name == "openclaw"  # its program may be a gateway that serves many sessions
        working = rig.until_task(
            lambda task: task["status"] == "running" and (shared or task["liveness"]["pid"]), "a running task while a tool runs"
        )
        result.check("title", working["title"].startswith("Tidy the cellar"), working["title"])
        metadata = working["metadata"]
        known = [metadata.get(each) for each in ("agent", "project", "branch")]
        result.check("project", known == [name, "project", "main"], metadata)
        version = metadata.get("agent_version")
        result.check("version", version in {None, packages()[name].version}, version)
        if not shared:
            result.check("process", working["liveness"]["pid"] in rig.is_agent(run), working["liveness"])
        beating = rig.until_task(_names_a_tool, "a tool's name beside the sign of life")
        result.check("tools", beating["liveness"]["state"] == "alive", beating["liveness"])
        rig.let_go()
        run.wait()
        ended = rig.until_task(is_done, "the end of the session")
        _check_end(name, rig, ended, result)
        progress("the session goes on")
        rig.run("hello", say="And sweep it", resumed=True)
        again = rig.until_task(lambda task: _reopened(task) and is_done(task), "the resumed session's end")
        result.check("resume", again["task_id"] == ended["task_id"] and "hello" in rig.ran(), rig.ran())
        result.check("one task", len(rig.tasks()) == 1, [task["title"] for task in rig.tasks()])


def _check_end(name: str, rig: Rig, ended: Task, result: Result) -> None:
    if name in PLANNERS:  # its last report may arrive behind that of the end
        with contextlib.suppress(AssertionError):
            ended = rig.until_task(_is_carried_out, "the plan to be carried out", limit_s=10)
        result.check("plan", _is_carried_out(ended), ended["steps"])
    steps = {step["title"]: step["status"] for step in ended["steps"]}
    turn = [status for title, status in steps.items() if title.startswith("Tidy the cellar")]
    result.check("turns", turn == ["done"], steps)
    result.check("failing tool", "fails" in rig.ran() and is_done(ended), rig.ran())
    result.check("parallel tools", {"left", "right"} <= set(rig.ran()), rig.ran())
    if any(played.script == "subagent" for played in rig.model.played):
        result.check("subagent", len(rig.tasks()) == 1, [task["title"] for task in rig.tasks()])
    result.check("end", is_done(ended), ended["status"])


def _is_carried_out(task: Task) -> bool:
    steps = {step["title"]: step["status"] for step in task["steps"]}
    return is_done(task) and all(steps.get(title) == "done" for title, _ in _plan())


def _names_a_tool(task: Task) -> bool:
    words = {"Bash", "bash", "shell", "exec", "exec_command", "run_shell_command", "Shell"}
    said = " ".join(str(each) for each in (task["summary"], (task["current_step"] or {}).get("summary")))
    return bool(words & set(said.replace(":", " ").split()))


def _reopened(task: Task) -> bool:
    told = statuses(task)
    return "done" in told and "running" in told[told.index("done") :]


# ── Stop ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def stop(name: str, result: Result, progress: Progress) -> None:
    """Stop is pressed while "two" runs: nothing runs after it, until a person speaks again."""
    with hooked(name, STOPPED) as rig:
        progress("stop in the middle")
        run = rig.start("stopped", say="Count to five")
        rig.until_there("two-runs")
        task = rig.until_task(lambda task: task["status"] == "running", "a running task")
        pressed = rig.press_stop(task["task_id"])
        until(rig.held, 10, "the daemon to hold the session")
        rig.let_go()
        let_go = datetime.now().timestamp()
        run.wait()
        stopped = rig.until_task(lambda task: task["status"] == "interrupted", "the task to be interrupted")
        calls = [played for played in rig.model.played if played.script == "stopped" and played.number > 2]
        result.figures["tools run after"] = len(rig.ran()) - 2
        result.figures["model calls after"] = len(calls)
        _check_receipts(stopped, pressed, let_go, result)
        result.check("nothing ran after", rig.ran() == ["one", "two"], rig.ran())
        if name in ENDED_BY_HOOK:
            result.check("loop ended", not calls, [played.number for played in calls])
        else:
            result.check("each refused", [played.number for played in calls] == [3, 4], [played.number for played in calls])
        progress("a person's next prompt")
        rig.run("stopped", say="Go on then", resumed=True)
        again = rig.until_task(is_done, "the task to be done after the next prompt")
        goes_on = "six" if name not in ENDED_BY_HOOK else "five"
        result.check("next prompt lifts it", goes_on in rig.ran() and not rig.held(), (rig.ran(), rig.held()))
        result.check("same task", again["task_id"] == task["task_id"])


def _check_receipts(task: Task, pressed: float, let_go: float, result: Result) -> None:
    receipts = task["stop"] or {}
    for name, since in (("seen", pressed), ("delivered", let_go), ("acknowledged", let_go)):
        at = receipts.get(f"{name}_at")
        result.check(name, at, receipts)
        if at:
            result.figures[f"{name}, s"] = datetime.fromisoformat(at).timestamp() - since
    delivered = [event for event in task["events"] if event["kind"] == "interrupt_delivered"]
    texts = [event_text(event) for event in delivered]
    result.check("held back once", len(delivered) == 1 and "held back" in texts[0], texts)


# ── Killed, two at once, and without the daemon ────────────────────────────────────────────────────────────────────


def killed(name: str, result: Result, progress: Progress) -> None:
    """SIGKILL of the agent: the task is lost within 20 s."""
    with hooked(name, KILLED) as rig:
        progress("the agent is killed")
        run = rig.start("killed", say="Wait long")
        rig.until_there("long-runs")
        rig.until_task(lambda task: task["status"] == "running", "a running task")
        rig.kill_agent(run)
        result.figures["commands left behind"] = len(rig.commands())
        took_s = until(lambda: rig.only_task()["liveness"]["state"] == "lost", LOST_WITHIN_S, "the task to be lost")
        result.figures["lost after, s"] = took_s
        result.check("lost", True)


def two(name: str, result: Result, progress: Progress) -> None:
    """Two sessions at once: one is stopped, the other goes on."""
    if name == "openclaw":
        return  # its local runs wait for each other
    with hooked(name, FIRST, SECOND) as rig:
        progress("two sessions at once")
        first = rig.start("first", say="Alpha")
        rig.until_there("first-runs")  # an agent's very first start, which makes its folders, may bear no second one beside it
        second = rig.start("second", say="Omega")
        rig.until_there("second-runs")
        until(lambda: len(rig.tasks()) == 2, 20, "two tasks")
        stopped = rig.until_task(lambda task: task["status"] == "running", "the first task", which="Alpha")
        rig.press_stop(stopped["task_id"])
        until(rig.held, 10, "the daemon to hold the first session")
        rig.let_go()
        first.wait()
        second.wait()
        rig.until_task(lambda task: task["status"] == "interrupted", "the first one to be interrupted", which="Alpha")
        rig.until_task(is_done, "the second one to be done", which="Omega")
        result.check("two tasks", len(rig.tasks()) == 2)
        ran = set(rig.ran())
        result.check("one stopped", "more-first" not in ran and "more-second" in ran, sorted(ran))


def daemon_killed(name: str, result: Result, progress: Progress) -> None:
    """SIGKILL of the daemon in the middle: the agent works on, and all arrives."""
    with hooked(name, STOPPED) as rig:
        progress("the daemon is killed")
        run = rig.start("stopped", say="Count")
        rig.until_there("two-runs")
        task = rig.until_task(lambda task: task["status"] == "running", "a running task")
        rig.kill_daemon()
        rig.let_go()
        run.wait()
        result.check(
            "agent works on", rig.ran()[:2] == ["one", "two"] and {"three", "four", "five"} <= set(rig.ran()), rig.ran()
        )
        if not rig.daemon_answers():
            with contextlib.suppress(AssertionError):  # the hook starts one
                until(rig.daemon_answers, 10, "the daemon to be back")
        result.check("daemon is back", rig.daemon_answers())
        if not rig.daemon_answers():
            rig.start_daemon()
        ended = rig.until_task(is_done, "the task to be done")
        result.check("end", ended["task_id"] == task["task_id"] and len(rig.tasks()) == 1)

"""An agent in a terminal: it asks whether it may use a tool, and waits between two turns; a person sees both."""

from __future__ import annotations

import contextlib
import time

from agents.real.processes import until
from agents.real.rig import Rig, Run, Task
from agents.real.scenarios import Progress, Result, hooked, is_done
from agents.real.terminal import Terminal
from support.models.script import Script, Turn

_ESCALATED = {"cmd": "./say hello", "sandbox_permissions": "require_escalated", "justification": "It has to"}

ASKS = Script("asks", (Turn("May I?", shell=("./say hello",)), Turn("Done.")))
CODEX_ASKS = Script("asks", (Turn("May I?", calls=(("exec_command", _ESCALATED),)), Turn("Done.")))
START_S = 60.0


def waits(name: str, result: Result, progress: Progress) -> None:
    """A permission is asked for and given, the turn ends, and the terminal is closed."""
    with hooked(name, CODEX_ASKS if name == "codex" else ASKS) as rig:
        if rig.program.in_terminal is None:
            return
        progress("in a terminal")
        with Terminal() as terminal:
            run = rig.start_in(terminal, "asks", say="Ask me")
            try:
                _play(rig, run, terminal, result)
            except AssertionError as error:
                error.add_note(f"on the screen: {terminal.text[-2000:]}")
                raise
            finally:
                rig.kill_agent(run)
        if rig.only_task()["liveness"]["pid"] is None:
            return  # a server runs the hooks of all its terminals: that one is closed is not seen
        ended = rig.until_task(is_done, "the session to be over once its terminal is closed")
        kinds = [event["kind"] for event in ended["events"]]
        result.check("closed between turns is no loss", "agent_lost" not in kinds, kinds)


def _play(rig: Rig, run: Run, terminal: Terminal, result: Result) -> None:
    assert rig.program.in_terminal is not None
    questions = dict(rig.program.in_terminal.questions)
    deadline = time.monotonic() + START_S
    while not (tasks := rig.tasks()) or not _asks(tasks[0]):
        for question, keys in list(questions.items()):
            if question in terminal.text:
                terminal.press(keys)
                del questions[question]
        assert run.process.poll() is None, "the agent ended"
        assert time.monotonic() < deadline, f"not within {START_S:.0f} s: the task to wait for a permission"
        time.sleep(0.2)
    asking = rig.until_task(_asks, "the question to stay")
    result.check("asks", asking["attention"]["reason"] == "waiting", asking["attention"])
    result.check("not answered by itself", rig.ran() == [], rig.ran())
    _answer(rig, terminal)
    between = rig.until_task(_is_between_turns, "the task to wait for the next prompt")
    result.check("waits", rig.ran() == ["hello"] and between["liveness"]["state"] in {"alive", "waiting"}, between["liveness"])


def _answer(rig: Rig, terminal: Terminal) -> None:
    """Says yes: the question may be reported before it is shown, and takes keys."""
    for _ in range(10):
        terminal.press("\r")
        with contextlib.suppress(AssertionError):
            until(rig.ran, 3, "the tool to run")
            return


def _asks(task: Task) -> bool:
    return task["status"] == "waiting" and str(task["summary"]).startswith(("may it use ", "it asks"))


def _is_between_turns(task: Task) -> bool:
    return task["status"] == "waiting" and task["summary"] == "waits for the next prompt"

"""An agent that reports by the tools of ``clawlog mcp``: it creates a task, plans, is stopped at its next call, and says so."""

from __future__ import annotations

from agents.real.cache import packages
from agents.real.processes import until
from agents.real.rig import Rig
from agents.real.scenarios import Progress, Result
from support.models.script import Script, Turn

_STOP = "STOP REQUESTED"
_WHERE = "after one, before two"
_CREATE = (("create_task", {"title": "Count by tools", "steps": ["one"]}),)
_CREATED = "The task is created"
_STARTS_S = 20
"""For how long the server may start: agents ask their model without waiting for it."""

STEERED = Script(
    "steered",
    (
        Turn("I create a task.", calls=_CREATE),
        *(Turn("I try again.", calls=_CREATE, unless=_CREATED, delay_s=1.0) for _ in range(_STARTS_S)),
        Turn("I plan.", calls=(("set_plan", {"steps": [{"title": "one", "status": "running"}, {"title": "two"}]}),)),
        Turn("One.", shell=("./say one wait",)),
        Turn("I report it.", calls=(("update_step", {"step": "one", "status": "done"}),)),
        Turn("Two.", shell=("./say two",), unless=_STOP),
        Turn("I was asked to stop.", calls=(("acknowledge_stop", {"summary": _WHERE}),), only_if=_STOP),
        Turn("A person stopped me.", only_if="The stop is acknowledged"),
        Turn("Nobody stopped me."),
    ),
)


def mcp(name: str, result: Result, progress: Progress) -> None:
    """Without hooks; the stop is pressed while "one" runs."""
    with Rig(name, STEERED) as rig:
        rig.start_daemon()
        try:
            _play(rig, result, progress)
        except Exception as error:
            error.add_note(rig.diagnosis())
            raise


def _play(rig: Rig, result: Result, progress: Progress) -> None:
    before = rig.files()
    done = rig.clawlog("install", "mcp", rig.name, "--allow")
    assert done.returncode == 0, f"install mcp ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    progress("by tools")
    run = rig.start("steered", say="Count")
    rig.until_there("one-runs")
    task = rig.until_task(lambda task: len(task["steps"]) == 2, "the task with its plan")
    result.check("created", task["title"] == "Count by tools", task["title"])
    result.check("planned", [step["status"] for step in task["steps"]] == ["running", "pending"], task["steps"])
    result.check("agent", task["metadata"].get("agent") == rig.name, task["metadata"])
    version = task["metadata"].get("agent_version")
    result.check("version", version in {None, packages()[rig.name].version}, version)
    result.check("process", task["liveness"]["pid"] in rig.is_agent(run), task["liveness"])
    rig.press_stop(task["task_id"], "Enough")
    until(
        lambda: rig.call("task.get", task_id=task["task_id"])["stop"]["interrupt_requested"],
        10,
        "the daemon to know of the stop",
    )
    rig.let_go()
    run.wait()
    stopped = rig.until_task(lambda task: task["status"] == "interrupted", "the task to be interrupted")
    receipts = stopped["stop"]
    result.check("stopped at its next call", rig.ran() == ["one"] and receipts["delivered_at"], (rig.ran(), receipts))
    result.check("acknowledged", receipts["ack_summary"] == _WHERE, receipts)
    result.check("says so", "A person stopped me." in run.text, run.text[-500:])
    done = rig.clawlog("uninstall", "mcp")
    assert done.returncode == 0, f"uninstall mcp ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    left = {path for path, content in rig.files().items() if b"bin/clawlog" in content and path.endswith((".json", ".toml"))}
    result.check("taken out", not left and set(before) <= set(rig.files()), left)

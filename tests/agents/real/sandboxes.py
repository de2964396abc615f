"""The scripts as the real agents call them: from their own shell tool, in their own sandbox, with the daemon outside of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from agents.real.processes import until
from agents.real.programs import PROGRAMS, Place
from agents.real.rig import Rig, Run
from agents.real.scenarios import Progress, Result
from clawlog import locations
from support.models.script import Script, Turn

SANDBOXED = ("claude-code", "codex")
"""The agents that have one of the kernel's."""

MOST_TIMES_BARE = 1.5

_SCRIPTS = Path(__file__).parents[3] / "scripts"
_CLAUDE = {"sandbox": {"enabled": True, "autoAllowBashIfSandboxed": True, "allowUnsandboxedCommands": False}}
_CALL = """\
#!/bin/sh
# call NAME SCRIPT ARGUMENTS...: runs one of the scripts, and keeps how it ended.
name=$1 script=$2
shift 2
python3 "SCRIPTS/$script.py" "$@" > "$name.out" 2> "$name.err"
echo $? > "$name.part"
mv "$name.part" "$name.status"
"""
_COST = """\
import json, resource, subprocess
def cpu_s(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
call = ["python3", "SCRIPTS/update_status.py", "--task-id", "seed", "--step-id", "1", "--step-status", "running"]
bare = ["python3", "-c", "pass"]
pairs = [(cpu_s(bare), cpu_s(call)) for _ in range(20)]
print(json.dumps([sum(each) for each in zip(*pairs)]), file=open("cost.json", "w"))
"""
"""In processor time: that of the wall says more of the machine's other work."""
_WAIT = "for i in $(seq 300); do [ -e {name} ] && break; sleep 0.1; done"

_T = "--task-id seed"
SEED = Script(
    "seed",
    (
        Turn(
            "I create it.", shell=("./call create create_task --task-id seed --title 部署 --step 检查 --step 编写 --step 启动",)
        ),
        Turn("I check.", shell=(f"./call check update_status {_T} --check-interrupt",)),
        Turn(
            "Work.",
            shell=(f'./call running update_status {_T} --step-id 2 --step-status running --step-summary "starting config"',),
        ),
        Turn("Alive.", shell=(f'./call beat update_status {_T} --heartbeat --heartbeat-summary "writing config template"',)),
        Turn("Done.", shell=(f'./call done update_status {_T} --step-id 2 --step-status done --step-summary "validated"',)),
        Turn("How long does it take?", shell=("python3 cost.py",)),
        Turn("I wait.", shell=(_WAIT.format(name="stop-is-there"),)),
        Turn("I check again.", shell=(f"./call stopped update_status {_T} --check-interrupt",)),
        Turn("I stop.", shell=(f'./call ack update_status {_T} --ack-interrupt --ack-summary "stopped after current step"',)),
        Turn("That is it."),
    ),
)
OWN = Script(
    "own",
    (
        Turn("My own task.", shell=("./call own update_status --check-interrupt",)),
        Turn("A part of it.", shell=("./call part create_task --title part",)),
        Turn("That is it."),
    ),
)
_LOOK = (
    f'python3 "{_SCRIPTS}/update_status.py" --check-interrupt; echo "status=$?"; '
    f'python3 "{_SCRIPTS}/update_status.py" --task-status running; echo "status=$?"'
)
READ_ONLY = Script("read-only", (Turn("I look.", shell=(_LOOK,)), Turn("That is it.")))
_KEEP = "./call create create_task --task-id seed --title kept"
SUDDEN = Script("sudden", (Turn("No daemon.", shell=(_KEEP,)), Turn("That is it.")))


class SandboxRig(Rig):
    """A rig whose agent runs its commands in its sandbox. It lies outside of /tmp, which sandboxes may write to."""

    def __init__(self, name: str, *scripts: Script, mode: str = "workspace-write") -> None:
        super().__init__(name, *scripts)
        program = PROGRAMS[name]

        def prepare(place: Place) -> dict[str, str]:
            files = dict(program.prepare(place))
            if name == "claude-code":
                files[".claude/settings.json"] = json.dumps(_CLAUDE)
            return files

        def arguments(prompt: str, resumed: bool) -> list[str]:
            given = program.arguments(prompt, resumed)
            bypass = "--dangerously-bypass-approvals-and-sandbox"
            return [part for each in given for part in (["-s", mode] if each == bypass else [each])]

        self.program = dataclasses.replace(program, prepare=prepare, arguments=arguments)

    def __enter__(self) -> Self:
        before, tempfile.tempdir = tempfile.tempdir, "/var/tmp"
        try:
            super().__enter__()
        finally:
            tempfile.tempdir = before
        for name, text in (("call", _CALL), ("cost.py", _COST)):
            (self.project / name).write_text(text.replace("SCRIPTS", str(_SCRIPTS)), encoding="utf-8")
            (self.project / name).chmod(0o755)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        uid = os.geteuid()
        shutil.rmtree(f"/tmp/claude-{uid}/clawlog-{uid}/{locations.drop_key(str(self.state))}", ignore_errors=True)

    def ended(self, name: str) -> tuple[int, dict[str, Any], str]:
        """How a call ended: its status, its result, what it said."""
        until((self.project / f"{name}.status").exists, 60, f"the call {name} to end")
        said = {part: (self.project / f"{name}.{part}").read_text(encoding="utf-8") for part in ("status", "out", "err")}
        return int(said["status"]), json.loads(said["out"] or "{}"), said["err"].strip()


@contextmanager
def boxed(name: str, *scripts: Script, mode: str = "workspace-write") -> Iterator[SandboxRig]:
    """Such a rig; what went on is told with an error."""
    with SandboxRig(name, *scripts, mode=mode) as rig:
        try:
            yield rig
        except Exception as error:
            error.add_note(rig.diagnosis())
            raise


def sandbox(name: str, result: Result, progress: Progress) -> None:
    """The calls of the skill from inside the agent's sandbox."""
    if name not in SANDBOXED:
        return
    with boxed(name, SEED) as rig:
        progress("the skill's calls")
        rig.start_daemon()
        run = rig.start("seed")
        _calls(rig, run, result)
    with boxed(name, SUDDEN) as rig:
        progress("without a daemon")
        rig.run("sudden")
        status, made, said = rig.ended("create")
        result.check(
            "kept without a daemon", (status, made.get("spooled"), len(said.splitlines())) == (0, True, 1), (status, said)
        )
        rig.start_daemon()
        rig.until_task(lambda task: True, "the task that was kept", which="kept")
    with boxed(name, OWN) as rig:
        progress("its own task")
        rig.start_daemon()
        rig.install()
        rig.run("own")
        status, made, said = rig.ended("own")
        result.check("its own task", (status, said) == (0, ""), (status, made, said))
        part = rig.until_task(lambda task: task["parent_task_id"], "the part of its own task", which="part")
        result.check("a part of it", part["parent_task_id"] == made["task_id"], part)
    with boxed(name, SUDDEN) as rig:
        progress("with the spool opened")
        rig.start_daemon()
        rig.install("--sandbox")
        rig.run("sudden")
        status, _, said = rig.ended("create")
        rig.until_task(lambda task: True, "the task that came by the spool", which="kept")
        result.check("opened", (status, said) == (0, ""), (status, said))
        result.check("opened: by the spool alone", not [*rig.folder.glob("tmp/**/clawlog-*")], "a drop was made")
    if name == "codex":
        with boxed(name, READ_ONLY, mode="read-only") as rig:
            progress("read-only")
            rig.start_daemon()
            rig.install()
            said = rig.run("read-only").text
            result.check("read-only: checks work", "status=0" in said, said[-1500:])
            result.check("read-only: events are told to be lost", "status=69" in said and "sandbox" in said, said[-1500:])


def _calls(rig: SandboxRig, run: Run, result: Result) -> None:
    def arrives(name: str, is_so: Callable[[dict[str, Any]], object]) -> None:
        status, answer, said = rig.ended(name)
        result.check(name, (status, said) == (0, ""), (status, answer, said))
        rig.until_task(is_so, f"what {name} says", limit_s=1.0)

    arrives("create", lambda task: len(task["steps"]) == 3)
    status, _, said = rig.ended("check")
    result.check("no stop", (status, said) == (0, ""), (status, said))
    arrives("running", lambda task: task["steps"][1]["summary"])
    arrives("beat", lambda task: task["liveness"]["state"] == "alive")
    arrives("done", lambda task: task["steps"][1]["status"] == "done")
    until((rig.project / "cost.json").exists, 60, "the measurement")
    until(lambda: "stop-is-there" in run.text or (rig.project / "cost.json").stat().st_size, 60, "the measurement")
    rig.press_stop("seed")
    view = rig.state / "run" / "view" / "seed"
    until(lambda: '"requested"' in view.read_text(), 1.0, "the stop to be there to be read")
    rig.let_go("stop-is-there")
    status, answer, said = rig.ended("stopped")
    result.check("stop", (status, said) == (20, ""), (status, answer, said))
    arrives("ack", lambda task: task["status"] == "interrupted")
    stop = rig.only_task()["stop"]
    result.check("receipts", all(stop[f"{each}_at"] for each in ("seen", "delivered", "acknowledged")), stop)
    run.wait()
    bare, call = json.loads((rig.project / "cost.json").read_text())
    result.figures["a call in the sandbox, times bare Python"] = call / bare
    result.check("cost", call / bare <= MOST_TIMES_BARE, f"{call / bare:.2f} × bare Python")

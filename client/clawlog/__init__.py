"""clawlog: report to a ClawLog backend what a long-running task does, and learn when a person wants it to stop.

::

    import clawlog

    with clawlog.task("Deploy", steps=["check", "write", "start"]) as task:
        for name in ("check", "write", "start"):
            task.checkpoint()  # raises clawlog.SoftStop when a stop is asked for; the with block ends quietly
            with task.step(name):
                ...

The names below are loaded on first use, those of tasks together: the scripts import this package, too, and every module costs
them milliseconds.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from clawlog.async_client import AsyncClient, AsyncInterruptWatch
    from clawlog.client import Client, InterruptWatch
    from clawlog.connection.results import (
        Accepted,
        AddedStep,
        AgentAnswer,
        Beat,
        CreatedTask,
        Flushed,
        Planned,
        StepHandle,
        StopPhase,
        StopState,
    )
    from clawlog.connection.values import NewStep, PlannedStep, Progress
    from clawlog.errors import (
        BadAddress,
        ClawlogError,
        DaemonUnreachable,
        ProtocolViolation,
        Refused,
        SoftStop,
        SpoolFailed,
    )
    from clawlog.tasks.asynchronous import AsyncTask, async_task
    from clawlog.tasks.blocking import Task, attach, task
    from clawlog.tasks.current import current_task
    from clawlog.tasks.logs import LogHandler
    from clawlog.tasks.steps import AsyncStep, Step
    from clawlog.tasks.tracking import Track, track
    from clawlog.tasks.waits import AsyncWait, Wait

__all__ = [
    "Accepted",
    "AddedStep",
    "AgentAnswer",
    "AsyncClient",
    "AsyncInterruptWatch",
    "AsyncStep",
    "AsyncTask",
    "AsyncWait",
    "BadAddress",
    "Beat",
    "ClawlogError",
    "Client",
    "CreatedTask",
    "DaemonUnreachable",
    "Flushed",
    "InterruptWatch",
    "LogHandler",
    "NewStep",
    "Planned",
    "PlannedStep",
    "Progress",
    "ProtocolViolation",
    "Refused",
    "SoftStop",
    "SpoolFailed",
    "Step",
    "StepHandle",
    "StopPhase",
    "StopState",
    "Task",
    "Track",
    "Wait",
    "async_task",
    "attach",
    "current_task",
    "task",
    "track",
]

_HOMES = {
    "Accepted": "clawlog.connection.results",
    "AddedStep": "clawlog.connection.results",
    "AsyncClient": "clawlog.async_client",
    "AsyncInterruptWatch": "clawlog.async_client",
    "AsyncStep": "clawlog.tasks.steps",
    "AsyncTask": "clawlog.tasks.asynchronous",
    "AsyncWait": "clawlog.tasks.waits",
    "BadAddress": "clawlog.errors",
    "AgentAnswer": "clawlog.connection.results",
    "Beat": "clawlog.connection.results",
    "ClawlogError": "clawlog.errors",
    "Client": "clawlog.client",
    "CreatedTask": "clawlog.connection.results",
    "DaemonUnreachable": "clawlog.errors",
    "Flushed": "clawlog.connection.results",
    "InterruptWatch": "clawlog.client",
    "LogHandler": "clawlog.tasks.logs",
    "NewStep": "clawlog.connection.values",
    "Planned": "clawlog.connection.results",
    "PlannedStep": "clawlog.connection.values",
    "Progress": "clawlog.connection.values",
    "ProtocolViolation": "clawlog.errors",
    "Refused": "clawlog.errors",
    "SoftStop": "clawlog.errors",
    "SpoolFailed": "clawlog.errors",
    "Step": "clawlog.tasks.steps",
    "StepHandle": "clawlog.connection.results",
    "StopPhase": "clawlog.connection.results",
    "StopState": "clawlog.connection.results",
    "Task": "clawlog.tasks.blocking",
    "Track": "clawlog.tasks.tracking",
    "Wait": "clawlog.tasks.waits",
    "async_task": "clawlog.tasks.asynchronous",
    "attach": "clawlog.tasks.blocking",
    "current_task": "clawlog.tasks.current",
    "task": "clawlog.tasks.blocking",
    "track": "clawlog.tasks.tracking",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'clawlog' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - see the module's docstring

    # All for tasks at once: a signal handler that reports in the middle of a later import would see half a module.
    tasks = "clawlog.tasks."
    for each, home in _HOMES.items():
        if each == name or (home.startswith(tasks) and _HOMES[name].startswith(tasks)):
            globals()[each] = getattr(importlib.import_module(home), each)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

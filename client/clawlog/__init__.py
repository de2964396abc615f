"""clawlog: report to a ClawLog backend what a long-running task does, and learn when a person wants it to stop.

::

    import clawlog

    with clawlog.task("Deploy", steps=["check", "write", "start"]) as task:
        for name in ("check", "write", "start"):
            task.checkpoint()  # raises clawlog.SoftStop when a stop is asked for; the with block ends quietly
            with task.step(name):
                ...

The names below are loaded on first use: the scripts import this package, too, and every module costs them milliseconds.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from clawlog.async_client import AsyncClient, AsyncInterruptWatch
    from clawlog.client import Client, InterruptWatch
    from clawlog.connection.calls import NewStep, PlannedStep, Progress
    from clawlog.connection.results import (
        Accepted,
        AddedStep,
        Beat,
        CreatedTask,
        Flushed,
        Planned,
        StepHandle,
        StopPhase,
        StopState,
    )
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
    from clawlog.tasks.blocking import Task, task

__all__ = [
    "Accepted",
    "AddedStep",
    "AsyncClient",
    "AsyncInterruptWatch",
    "AsyncTask",
    "BadAddress",
    "Beat",
    "ClawlogError",
    "Client",
    "CreatedTask",
    "DaemonUnreachable",
    "Flushed",
    "InterruptWatch",
    "NewStep",
    "Planned",
    "PlannedStep",
    "Progress",
    "ProtocolViolation",
    "Refused",
    "SoftStop",
    "SpoolFailed",
    "StepHandle",
    "StopPhase",
    "StopState",
    "Task",
    "async_task",
    "task",
]

_HOMES = {
    "Accepted": "clawlog.connection.results",
    "AddedStep": "clawlog.connection.results",
    "AsyncClient": "clawlog.async_client",
    "AsyncInterruptWatch": "clawlog.async_client",
    "AsyncTask": "clawlog.tasks.asynchronous",
    "BadAddress": "clawlog.errors",
    "Beat": "clawlog.connection.results",
    "ClawlogError": "clawlog.errors",
    "Client": "clawlog.client",
    "CreatedTask": "clawlog.connection.results",
    "DaemonUnreachable": "clawlog.errors",
    "Flushed": "clawlog.connection.results",
    "InterruptWatch": "clawlog.client",
    "NewStep": "clawlog.connection.calls",
    "Planned": "clawlog.connection.results",
    "PlannedStep": "clawlog.connection.calls",
    "Progress": "clawlog.connection.calls",
    "ProtocolViolation": "clawlog.errors",
    "Refused": "clawlog.errors",
    "SoftStop": "clawlog.errors",
    "SpoolFailed": "clawlog.errors",
    "StepHandle": "clawlog.connection.results",
    "StopPhase": "clawlog.connection.results",
    "StopState": "clawlog.connection.results",
    "Task": "clawlog.tasks.blocking",
    "async_task": "clawlog.tasks.asynchronous",
    "task": "clawlog.tasks.blocking",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'clawlog' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - see the module's docstring

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

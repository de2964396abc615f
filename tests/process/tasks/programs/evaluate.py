"""Evaluates folds in child processes, by fork and by spawn: each reports on its parent's task, and none of them ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import clawlog


def fold(task_id: str, number: int) -> None:
    """What a spawned worker does: it is told the task's id."""
    with clawlog.attach(task_id) as task, task.step(f"fold {number}") as step:
        for _ in clawlog.track(range(20), f"score {number}", unit="rows"):
            pass
        step.summary = f"{task.title} by process {os.getpid() != os.getppid()}"
        if number == 3:
            raise ValueError("fold 3 is empty")


def forked_fold(number: int) -> None:
    """What a forked worker does: it is in its parent's task already."""
    task = clawlog.current_task()
    assert isinstance(task, clawlog.Task)
    with task.step(f"fold {number}"):
        task.progress(number, 4)
    with clawlog.task("Report on fold", metadata={"fold": str(number)}):
        pass


def evaluate() -> None:
    with clawlog.task("Evaluate", ["fold 1", "fold 2"]) as task:
        print(task.id, task.url, flush=True)
        children = []
        for number in (1, 2):
            child = os.fork()
            if child == 0:
                forked_fold(number)
                sys.exit(0)  # leaves the block of its parent's task
            children.append(child)
        for child in children:
            os.waitpid(child, 0)

        with multiprocessing.get_context("spawn").Pool(2) as pool:
            outcomes = [pool.apply_async(fold, (task.id, number)) for number in (3, 4)]
            for outcome in outcomes:
                try:
                    outcome.get()
                except ValueError as error:
                    task.summary = str(error)

        killed = os.fork()
        if killed == 0:
            with task.step("a worker that is killed"):
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(killed, 0)
        with task.step("a worker that is killed") as step:
            step.summary = "done again by the parent"


if __name__ == "__main__":
    evaluate()

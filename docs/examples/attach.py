import multiprocessing

import clawlog


def work(task_id: str) -> None:
    with clawlog.attach(task_id) as task, task.step("work in a child process"):
        task.progress(1, 1)


if __name__ == "__main__":
    with clawlog.task("Parent") as task:
        child = multiprocessing.get_context("fork").Process(target=work, args=(task.id,))
        child.start()
        child.join()

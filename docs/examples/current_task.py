import clawlog


def deep_inside() -> None:
    task = clawlog.current_task()
    if isinstance(task, clawlog.Task):
        task.progress(1, 3, unit="tables")


with clawlog.task("Migrate"):
    deep_inside()
assert clawlog.current_task() is None

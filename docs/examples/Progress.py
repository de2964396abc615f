import clawlog

with clawlog.Client() as client:
    task = client.create_task("Count", ["words"])
    client.update_step(task.task_id, "words", "running", progress=clawlog.Progress(318, 2480, "words"))
    client.update_task(task.task_id, "done")

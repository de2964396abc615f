import clawlog

with clawlog.Client() as client:
    task = client.create_task("By hand", ["one"])
    client.update_step(task.task_id, "one", "running", progress=clawlog.Progress(1, 4))
    client.add_step(task.task_id, "two", after="one")
    client.annotate_task(task.task_id, {"branch": "main"})
    if not client.check_interrupt(task.task_id).interrupt_requested:
        client.update_task(task.task_id, "done", summary="all well")
    print(client.get_task(task.task_id)["status"])

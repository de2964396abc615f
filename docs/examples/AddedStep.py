import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy", ["check", "write"])
    added = client.add_step(task.task_id, "compile", after="check")
    assert added.step is not None
    assert added.step.position == 2
    client.update_task(task.task_id, "done")

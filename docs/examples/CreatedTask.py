import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy", ["check"])
    print(task.task_id, task.base_url, task.url, [step.title for step in task.steps])
    client.update_task(task.task_id, "done")

import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy", ["check", "write"])
    planned = client.plan_task(task.task_id, ["check", "compile", "write"])
    assert [step.title for step in planned.steps] == ["check", "compile", "write"]
    client.update_task(task.task_id, "done")

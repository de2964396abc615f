import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy", ["check"])
    try:
        client.update_step(task.task_id, 7, "running")
    except clawlog.Refused as refusal:
        print(refusal.name, [step["title"] for step in refusal.data["steps"]])
    client.update_task(task.task_id, "done")

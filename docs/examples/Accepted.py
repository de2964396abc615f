import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy")
    accepted = client.update_task(task.task_id, "done")
    print(accepted.event_id, accepted.pending, accepted.spooled)

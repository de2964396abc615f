import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy")
    if client.check_interrupt(task.task_id).state is clawlog.StopPhase.UNKNOWN:
        print("neither yes nor no: the backend does not answer")
    client.update_task(task.task_id, "done")

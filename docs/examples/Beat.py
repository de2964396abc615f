import clawlog

with clawlog.Client() as client:
    task = client.create_task("Deploy")
    beat = client.heartbeat(task.task_id, summary="copying", lease_s=300)
    print(f"the backend hears of it in at most {beat.next_in_s:.0f} s")
    client.update_task(task.task_id, "done")

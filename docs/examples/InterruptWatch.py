import clawlog

with clawlog.Client() as client:
    task_id = client.create_task("Watched").task_id
    with client.watch_interrupt(task_id) as watch:
        stop = watch.next(timeout_s=5)  # the present state; then one at each change
        assert stop is not None
        print(stop.state)
    client.update_task(task_id, "done")

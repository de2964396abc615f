import clawlog

with clawlog.task("Deploy", ["check", "write"]) as task:
    first = task.steps[0]
    assert (first.position, first.title, first.status) == (1, "check", "pending")
    with task.step(first.step_id):
        pass

import clawlog

with clawlog.task("Deploy", ["check", "write"]) as task:
    task.plan([clawlog.PlannedStep("check", "done"), "compile", "write"])
    print([f"{step.position} {step.title}: {step.status}" for step in task.steps])

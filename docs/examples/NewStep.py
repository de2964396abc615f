import clawlog

with clawlog.task("Deploy", [clawlog.NewStep("Check the settings", "check"), "Write"]) as task, task.step("check"):
    pass

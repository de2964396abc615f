import clawlog

with clawlog.task("Import", ["rows"]) as task, task.step("rows", "opening the file") as step:
    step.update("reading")
    for row in range(1, 101):
        step.progress(row, 100, unit="rows")
    step.summary = "100 rows"

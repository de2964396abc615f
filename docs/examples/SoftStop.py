import clawlog

with clawlog.task("Copy", ["files"]) as task, task.step("files"):
    for _ in range(3):
        try:
            task.checkpoint()
        except clawlog.SoftStop as stop:
            print("stopped:", stop.reason)
            raise  # out of the block, which acknowledges it

import clawlog

with clawlog.task("Train", ["load", "train"]) as task:
    print(task)  # <clawlog.Task 'Train' … running http://localhost:8000/tasks/…>
    with task.step("train"):
        for epoch in range(1, 4):
            task.progress(epoch, 3, unit="epochs")
            task.metadata["loss"] = f"{1 / epoch:.2f}"
    task.plan(["load", "train", "evaluate"])
    task.heartbeat("nearly there")
    task.summary = "loss 0.33"

import clawlog

for name in clawlog.track(["a.py", "b.py"], "Format the files", unit="files"):
    print(name)  # a task of its own

with clawlog.task("Translate", ["words"]):
    for _ in clawlog.track(range(1000), "words"):
        pass  # a step of the task around it
    with clawlog.track(range(10), "look for one") as numbers:
        for number in numbers:
            if number == 3:
                break  # the step is skipped: "left after 3 of 10"

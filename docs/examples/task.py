import clawlog

with clawlog.task("Release", steps=["build", "publish"], metadata={"version": "1.4"}) as task:
    with task.step("build") as step:
        step.summary = "412 files"
    task.checkpoint()  # raises clawlog.SoftStop when a person asked for a stop
    with task.step("sign what was built"):  # not in the plan: it is added
        pass
    with task.waiting("Publish 1.4?"):
        pass  # ask, and wait for the answer
    with task.step("publish"):
        task.link("https://example.org/releases/1.4", "release")


@clawlog.task("Clean up")
def clean_up() -> int:
    return 3


assert clean_up() == 3

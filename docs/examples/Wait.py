import clawlog

with clawlog.task("Migrate the orders table") as task:
    with task.waiting('Drop the column "x"?'):
        answer = "yes"  # from input(), a web form, a chat
    assert answer == "yes"  # the task runs again

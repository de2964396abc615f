import clawlog

try:
    with clawlog.Client() as client:
        client.get_task("no-such-task")
except clawlog.ClawlogError as error:
    print(type(error).__name__, error)

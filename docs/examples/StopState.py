import clawlog

with clawlog.task("Deploy") as task:
    task.checkpoint()
    stop = task.stop
    print(stop.state, stop.interrupt_requested, stop.reason)

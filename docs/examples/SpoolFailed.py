import clawlog

try:
    with clawlog.task("Strict", strict=True):
        pass
except (clawlog.DaemonUnreachable, clawlog.SpoolFailed) as error:
    print("this report is lost:", error)

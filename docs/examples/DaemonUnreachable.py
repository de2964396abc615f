import clawlog

try:
    with clawlog.task("Strict", strict=True, client=clawlog.Client("/no/such/socket", autostart=False)):
        pass
except clawlog.DaemonUnreachable as error:
    print(error)

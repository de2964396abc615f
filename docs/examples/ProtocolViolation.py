import clawlog

with clawlog.Client() as client:
    try:
        print(client.daemon_status()["version"])
    except clawlog.ProtocolViolation as error:
        print("something else listens there:", error)

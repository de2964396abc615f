import clawlog

with clawlog.Client() as client:
    flushed = client.flush(timeout_s=5)
    print("all delivered" if flushed.flushed else f"{flushed.pending} wait")

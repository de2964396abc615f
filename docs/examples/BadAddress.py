import clawlog

try:
    clawlog.Client("zmq:nonsense")
except clawlog.BadAddress as error:
    print(error)

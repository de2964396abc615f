"""What all clients share: the three ways in which one is run. ``CLIENT MODE ADDRESS COUNT``, on the peer's own Python.

``once`` reports one step and ends; ``many`` reports so many and prints how many seconds that took; ``hold`` reports one,
says ``ready`` and stays until its stdin ends.
"""

import sys
import time

MARK = "clawlog-peers-step"


def main(begin):
    """Runs a client.

    Args:
        begin: Given an address, returns how an update is reported, and how one sees to it that all are taken.
    """
    mode, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    report, finish = begin(address)
    started = time.perf_counter()
    for number in range(count if mode == "many" else 1):
        report(number)
    if mode == "hold":
        print("ready", flush=True)
        sys.stdin.read()
    finish()
    if mode == "many":
        print(time.perf_counter() - started, flush=True)

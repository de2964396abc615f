"""What one writes oneself: urllib, ten seconds of patience."""

import json
import urllib.request

from reporting import MARK, main


def begin(address):
    """There is nothing to prepare."""

    def report(number):
        body = json.dumps({"status": "running", "summary": MARK}).encode()
        request = urllib.request.Request(
            f"{address}/api/tasks/bench/steps/{number % 3 + 1}", body, {"Content-Type": "application/json"}, method="PATCH"
        )
        urllib.request.urlopen(request, timeout=10).close()

    return report, lambda: None


main(begin)

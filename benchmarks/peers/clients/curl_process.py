"""curl, a process for each update."""

import subprocess

from reporting import MARK, main


def begin(address):
    """There is nothing to prepare."""
    command = ["curl", "-sS", "--fail", "--max-time", "10", "-X", "PATCH", "-H", "Content-Type: application/json"]
    command += ["-d", f'{{"status": "running", "summary": "{MARK}"}}', f"{address}/api/tasks/bench/steps/2"]
    return lambda _: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), lambda: None


main(begin)

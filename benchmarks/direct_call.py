"""The direct way that the scripts are held against: argparse and urllib straight to a backend."""

import argparse
import json
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--base-url", required=True)
parser.add_argument("--task-id", required=True)
parser.add_argument("--heartbeat-summary", default="")
arguments = parser.parse_args()
body = {
    "at": "2026-01-01T00:00:00.000Z",
    "agent_seen_at": "2026-01-01T00:00:00.000Z",
    "evidence": "command",
    "stalled": False,
    "summary": arguments.heartbeat_summary,
}
request = urllib.request.Request(
    f"{arguments.base_url}/api/tasks/{arguments.task_id}/heartbeat",
    data=json.dumps(body).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as response:
    print(response.read().decode())

"""The commands that the skill gives to agents, word for word, and a shell with a Python that has nothing installed."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"

CREATE = """\
python scripts/create_task.py \\
  --base-url http://localhost:8000 \\
  --title "部署 Nginx 服务" \\
  --step "检查本地环境" \\
  --step "编写配置文件" \\
  --step "启动并测试"
"""
CHECK = 'python scripts/update_status.py --task-id "$TASK_ID" --check-interrupt'
STEP_RUNNING = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --step-id "$STEP_ID" \\
  --step-status running \\
  --step-summary "starting config generation"
"""
STEP_DONE = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --step-id "$STEP_ID" \\
  --step-status done \\
  --step-summary "nginx.conf generated and validated"
"""
HEARTBEAT = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --heartbeat \\
  --heartbeat-summary "writing config template"
"""
ACK = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --ack-interrupt \\
  --ack-summary "stopped after current step"
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


class Shell:
    """An agent's shell, where ``python`` is one that has no packages at all."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.env = env
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        python = programs / "python"
        python.write_text(f'#!/bin/sh\nexec {_bare_python()} "$@"\n')
        python.chmod(0o755)
        # Where the daemon's program is installed comes last: it is found by name, and nothing else is taken from there.
        self.env["PATH"] = f"{programs}:/usr/bin:/bin:{Path(sys.executable).parent}"

    async def run(self, command: str, base_url: str = "") -> Ran:
        process = await asyncio.create_subprocess_shell(
            command.replace("http://localhost:8000", base_url),
            cwd=ROOT,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def create(self, base_url: str) -> dict[str, Any]:
        """Creates the task, and keeps its ids as an agent's shell would."""
        ran = await self.run(CREATE, base_url)
        assert ran.status == 0, ran.stderr
        created: dict[str, Any] = json.loads(ran.stdout)
        self.env |= {"TASK_ID": created["task_id"], "STEP_ID": created["steps"][1]["step_id"]}
        return created


def _bare_python() -> str:
    """The system's Python where it is new enough, else this one without its packages."""
    probe = f"{SYSTEM_PYTHON} -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null"
    return SYSTEM_PYTHON if os.system(probe) == 0 else f"{shlex.quote(sys.executable)} -I -S"

"""The ways to report that are measured: ours, and what somebody would use instead.

Each version is fixed, so that a stored run can be repeated. What is said of durability was seen in system calls
and code; of stops, in code or in what its authors say, and not by a run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import ROOT

CLIENTS = Path(__file__).parent / "clients"
MARK = "clawlog-peers-step"
"""Stands in every update, so that a receiver can count those that arrive."""


@dataclass(frozen=True)
class Peer:
    """One way to report.

    Attributes:
        key: What the command line calls it.
        name: What the table calls it.
        client: The script in ``clients/`` that reports by its library.
        package: The distribution that it needs; empty for none.
        version: Of that.
        short: The short process that reports one step, where that is not the client's script; ADDRESS in it is the server's.
        server: Whether it speaks to a server; else it writes to this disk alone.
        needs_real_server: Whether a plain receiver cannot stand for its server, so that it is tried without one alone.
        durable: What has become of an update that counts as taken.
        afterwards: What becomes of updates that no server took.
        stop: How a person's wish to stop reaches the program.
    """

    key: str
    name: str
    client: str
    package: str = ""
    version: str = ""
    short: tuple[str, ...] = ()
    server: bool = True
    needs_real_server: bool = False
    durable: str = ""
    afterwards: str = ""
    stop: str = "none"

    @property
    def requirement(self) -> str:
        """What pip is told to install."""
        return f"{self.package}=={self.version}"

    def command(self, python: Path, mode: str, address: str, count: int = 1) -> list[str]:
        """Returns the command line of one of the client's modes: ``once``, ``many`` or ``hold``."""
        if mode == "once" and self.short:
            return [part.replace("ADDRESS", address) for part in self.short]
        return [str(python), str(CLIENTS / self.client), mode, address, str(count)]


OURS = Peer(
    "clawlog",
    "clawlog",
    "clawlog_client.py",
    short=(
        *(sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "bench", "--step-id", "2"),
        *("--step-status", "running", "--step-summary", MARK),
    ),
    durable="on this disk, with `fsync`, before the call returns",
    afterwards="the daemon delivers it",
    stop="exit status 20 of the next check, `SoftStop`, or a signal",
)

PEERS = (
    Peer(
        "curl",
        "curl",
        "curl_process.py",
        short=(
            *("curl", "-sS", "--fail", "--max-time", "10", "-X", "PATCH", "-H", "Content-Type: application/json"),
            *("-d", f'{{"status": "running", "summary": "{MARK}"}}', "ADDRESS/api/tasks/bench/steps/2"),
        ),
        durable="the server has answered",
        afterwards="nobody sends it again",
        stop="what one asks for oneself",
    ),
    Peer(
        "urllib",
        "Python, urllib",
        "direct.py",
        durable="the server has answered",
        afterwards="nobody sends it again",
        stop="what one asks for oneself",
    ),
    Peer(
        "sentry-sdk",
        "sentry-sdk, check-in",
        "sentry_checkin.py",
        "sentry-sdk",
        "2.75.0",
        durable="the server has answered; until then in memory, at most 100, what is more is dropped",
        afterwards="nobody sends it again",
    ),
    Peer(
        "wandb-offline",
        "wandb, offline",
        "wandb_offline.py",
        "wandb",
        "0.31.0",
        server=False,
        durable="in a file of this machine, without an `fsync` of its own",
        afterwards="`wandb sync`, by hand",
    ),
    Peer(
        "wandb-online",
        "wandb, online",
        "wandb_online.py",
        "wandb",
        "0.31.0",
        needs_real_server=True,
        afterwards="nobody sends it again",
        stop="a button on its page; the library looks for it while it is online",
    ),
    Peer(
        "mlflow",
        "mlflow",
        "mlflow_tag.py",
        "mlflow-skinny",
        "3.17.2",
        durable="the server has answered",
        afterwards="nobody sends it again",
    ),
    Peer(
        "prefect",
        "prefect",
        "prefect_state.py",
        "prefect",
        "3.9.1",
        durable="the server has answered",
        afterwards="nobody sends it again",
        stop="cancellation: the worker that runs the flow ends its process",
    ),
    Peer(
        "aim",
        "aim",
        "aim_local.py",
        "aim",
        "3.29.1",
        server=False,
        durable="in a database of this machine, without an `fsync` of its own",
        afterwards="nothing is sent",
    ),
)
"""In the order of the tables."""

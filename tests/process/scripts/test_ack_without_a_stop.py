"""What a script says of an acknowledgement that answers nothing."""

from __future__ import annotations

from typing import Any

from clawlog.protocol.errors import RpcError


def test_it_ends_with_65_and_says_why(run: Any, daemon: Any) -> None:
    daemon.answers["interrupt.ack"] = RpcError(-32008, "No stop is known for task t")
    ended = run("update_status", "--task-id", "t", "--ack-interrupt")
    assert ended.status == 65
    assert ended.json["ack"]["error"]["code"] == "no_open_interrupt"
    assert ended.stderr == "update_status.py: No stop is known for task t\n"

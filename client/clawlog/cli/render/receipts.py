"""How far a stop has come, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from clawlog.cli.render import times
from clawlog.cli.render.backend_views import Receipts


def receipt_lines(stop: Receipts) -> Iterator[str]:
    """Returns a line for each stage of a stop after its request, with the time since the stage before."""
    before = stop.requested_at
    for stage in stop.stages[1:]:
        if stage.at is not None:
            delay = f"+{times.duration(max(0.0, times.between(before, stage.at)))}" if before else times.clock(stage.at)
            summary = f' "{stop.ack_summary}"' if stage.name == "acknowledged" and stop.ack_summary else ""
            yield f"{stage.name:<12} {delay}{summary}"
            before = stage.at

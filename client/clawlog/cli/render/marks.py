"""The mark and the colour of steps and lanes, so that all screens show them alike; those of tasks are in ``states``.

A test checks that every word of ``protocol.vocabulary`` has its entry; an unknown word of a newer daemon is shown plainly.
"""

from __future__ import annotations

from clawlog.cli.render.views import LivenessView

STEP_MARKS = {
    "pending": ("·", "dim"),
    "running": ("▶", "bold green"),
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "dim"),
}
"""A step's mark and its style, by status."""

EVIDENCE_TEXTS = {"process": "process {pid} is running", "command": "it has called recently"}
"""Why an agent counts as alive."""


def step_mark(status: str) -> tuple[str, str]:
    """Returns a step's mark and its style."""
    return STEP_MARKS.get(status, ("?", ""))


def evidence(liveness: LivenessView) -> str | None:
    """Returns why an agent counts as alive; None where there is no evidence."""
    text = EVIDENCE_TEXTS.get(liveness.evidence or "")
    return None if text is None else text.format(pid=liveness.watch_pid)

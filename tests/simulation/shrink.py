"""Shortens a history that fails: as few items as still fail in the same way (delta debugging)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulation.plan import Item, Plan


def shorten(plan: Plan, fails: Callable[[Plan], bool], most_runs: int = 200) -> Plan:
    """The plan with as few of its items as still fail.

    Args:
        plan: One that fails.
        fails: Whether a plan fails as this one does.
        most_runs: How many plans are tried.
    """
    items, parts, runs = plan.items, 2, 0
    while len(items) > 1 and runs < most_runs:
        size = -(-len(items) // parts)
        for start in range(0, len(items), size):
            fewer: tuple[Item, ...] = items[:start] + items[start + size :]
            runs += 1
            if fewer and fails(replace(plan, items=fewer)):
                items, parts = fewer, max(parts - 1, 2)
                break
            if runs >= most_runs:
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(items))
    return replace(plan, items=items)

"""A figure of the table: a ratio, its target, its spread, and the verdict; and how large a past is measured."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

PART = int(os.environ.get("CLAWLOG_BENCH_PART", "1"))
"""Which part of what the largest benchmarks fill a database with is enough: 10 for a tenth, as ``make bench`` has it."""


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured, against what.
        value: The median.
        target: The bound.
        sense: Whether the value must be at most or at least the target.
        unit: ``x`` for a ratio, or the unit of an absolute figure.
        low: The smallest of the runs.
        high: The largest.
        detail: The absolute figures behind it.
    """

    name: str
    value: float
    target: float
    sense: Literal["<=", ">="]
    unit: str = "x"
    low: float | None = None
    high: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.sense == "<=" else self.value >= self.target

    def as_json(self) -> dict[str, Any]:
        """The figure for a file."""
        return {**asdict(self), "met": self.met}


def ratio(
    name: str, ours: Sequence[float], limit: Sequence[float], target: float, sense: Literal["<=", ">="], detail: str = ""
) -> Figure:
    """The ratio of two series that were measured in turn: the median of the pairs' ratios, with their spread."""
    pairs = [a / b for a, b in zip(ours, limit, strict=True)]
    return Figure(name, statistics.median(pairs), target, sense, "x", min(pairs), max(pairs), detail)

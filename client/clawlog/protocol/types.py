"""The vocabulary as types: the closed sets of ``vocabulary`` that a type checker must know. A test compares the two."""

from __future__ import annotations

from typing import Literal

ReportedTaskStatus = Literal["running", "waiting", "done", "failed", "interrupted"]
TaskStatus = Literal["pending", "running", "waiting", "done", "failed", "interrupted"]
StepStatus = Literal["pending", "running", "done", "failed", "skipped"]

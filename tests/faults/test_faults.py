"""Every fault, in its quick form: nothing accepted is lost, nothing unexpected arrives, nothing twice, nothing out of order."""

from __future__ import annotations

import pytest

from faults import scenarios  # noqa: F401 - enters the faults
from faults.registry import FAULTS, Fault, run


@pytest.mark.parametrize("which", [which for which in FAULTS if which.quick], ids=lambda which: which.name)
def test_nothing_accepted_is_lost_under(which: Fault) -> None:
    if reason := which.missing():
        pytest.skip(reason)
    report = run(which)
    assert report.verdict.holds, report.verdict
    assert report.verdict.accepted > 0

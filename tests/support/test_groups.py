"""What shares a browser, a built package or a module's servers is kept in one worker: otherwise each makes them anew."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("of-its-own")
def test_a_group_is_known_to_who_distributes_the_tests(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests are not distributed by groups (make test does)")
    assert request.node.nodeid.endswith("@of-its-own")

"""What shares a browser, a built package or a module's servers is kept in one worker: otherwise each makes them anew."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("of-its-own")
def test_a_group_is_known_to_who_distributes_the_tests(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests are not distributed by groups (make test does)")
    assert request.node.nodeid.endswith("@of-its-own")


@pytest.fixture(scope="module")
def shared() -> None:
    """Stands for a server."""


@pytest.mark.usefixtures("shared")
def test_what_is_made_for_a_module_makes_its_tests_a_group(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("xdist_group")
    assert mark is not None
    assert mark.args == ("tests/support/test_groups.py",)

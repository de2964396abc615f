"""Every error of the domain is answered with a problem of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clawlog_backend.domain import errors
from clawlog_backend.http.problems import problem_of
from clawlog_backend.storage.engines.engine import DatabaseError

ARGUMENTS = {
    errors.TaskEnded: (("t1", "done"), {}),
    errors.NothingToNotify: ((), {}),
    errors.TooMany: (("url", 50, "links"), {}),
    errors.Busy: (("Too many.",), {"retry_after_s": 7}),
    errors.Unavailable: (("Not now.",), {"retry_after_s": 7}),
    errors.TokenRequired: ((), {}),
    errors.WrongToken: ((), {}),
    errors.ForgedRequest: ((), {}),
}


def kinds(base: type[errors.DomainError] = errors.DomainError) -> Iterator[type[errors.DomainError]]:
    """The errors that are raised: those that no other one is a kind of."""
    for kind in base.__subclasses__():
        yield from kinds(kind) if kind.__subclasses__() else (kind,)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_an_error_of_the_domain_has_a_status_a_code_and_a_text(kind: type[errors.DomainError]) -> None:
    arguments, named = ARGUMENTS.get(kind, (("t1",), {}))
    problem = problem_of(kind(*arguments, **named))
    assert problem.status_code in {401, 403, 404, 409, 422, 429, 503}
    assert problem.code == kind.code
    assert problem.detail
    if "retry_after_s" in named:
        assert (problem.headers or {})["Retry-After"] == "7"


def test_two_errors_never_share_a_code() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(codes) == len(set(codes))


def test_a_database_that_fails_is_a_fault_that_may_pass() -> None:
    problem = problem_of(DatabaseError("disk I/O error"))
    assert (problem.status_code, problem.code, problem.headers) == (503, "unavailable", {"Retry-After": "5"})
    assert "disk" not in problem.detail, "what failed inside is for the log"


def test_an_unexpected_error_says_nothing_of_itself() -> None:
    problem = problem_of(ZeroDivisionError("secret"))
    assert (problem.status_code, problem.code) == (500, "internal")
    assert "secret" not in problem.detail

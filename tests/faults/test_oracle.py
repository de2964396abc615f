"""The oracle finds each kind of wrong that it is there to find."""

from __future__ import annotations

import pytest

from faults.oracle import Change, Ledger, Outcome, judge

A, B, C = (Change(f"e{n}", "t1", "step_status", "s1", "running", f"mark {n}") for n in range(3))
OTHER = Change("e9", "t2", "step_status", "s1", "done", "mark 9")


def ledger(**outcomes: Outcome) -> Ledger:
    made = Ledger()
    for name, outcome in outcomes.items():
        made.note({"a": A, "b": B, "c": C, "other": OTHER}[name], outcome)
    return made


def test_a_run_in_which_all_arrived_once_and_in_order_holds() -> None:
    verdict = judge(ledger(a=Outcome.ACCEPTED, b=Outcome.ACCEPTED, other=Outcome.ACCEPTED), [A, OTHER, B])
    assert verdict.holds
    assert verdict.accepted == 3


def test_an_accepted_event_that_did_not_arrive_is_lost() -> None:
    verdict = judge(ledger(a=Outcome.ACCEPTED, b=Outcome.ACCEPTED), [A])
    assert (verdict.lost, verdict.holds) == (1, False)
    assert "mark 1" in verdict.examples[0]


def test_what_the_daemon_reports_as_gone_is_not_silently_lost() -> None:
    verdict = judge(ledger(a=Outcome.ACCEPTED, b=Outcome.ACCEPTED, c=Outcome.ACCEPTED), [A], reported_gone=1)
    assert (verdict.lost, verdict.reported) == (1, 1)


def test_reporting_more_than_is_missing_hides_nothing() -> None:
    assert judge(ledger(a=Outcome.ACCEPTED), [A], reported_gone=5).reported == 0


@pytest.mark.parametrize("arrived", [[], [A]])
def test_an_undecided_event_may_arrive_or_not(arrived: list[Change]) -> None:
    assert judge(ledger(a=Outcome.UNDECIDED), arrived).holds


def test_an_undecided_event_may_not_arrive_twice() -> None:
    assert judge(ledger(a=Outcome.UNDECIDED), [A, A]).duplicates == 1


def test_an_event_that_nobody_sent_is_unexpected() -> None:
    assert judge(ledger(a=Outcome.ACCEPTED), [A, B]).unexpected == 1


def test_a_refused_event_that_arrives_is_unexpected() -> None:
    assert judge(ledger(a=Outcome.REFUSED), [A]).unexpected == 1


def test_an_altered_event_is_lost_and_unexpected() -> None:
    altered = Change(A.event_id, A.task_id, A.kind, A.step_id, "failed", A.summary)
    verdict = judge(ledger(a=Outcome.ACCEPTED), [altered])
    assert (verdict.lost, verdict.unexpected) == (1, 1)


def test_the_daemons_own_words_are_not_judged() -> None:
    assert judge(ledger(a=Outcome.ACCEPTED), [A, Change("x", "t1", "agent_lost", summary="gone")]).holds


def test_order_counts_within_a_task_alone() -> None:
    sent = ledger(a=Outcome.ACCEPTED, b=Outcome.UNDECIDED, c=Outcome.ACCEPTED, other=Outcome.ACCEPTED)
    assert judge(sent, [OTHER, A, B, C]).disordered == 0
    assert judge(sent, [A, C, B, OTHER]).disordered == 1


def test_a_refusal_after_an_unanswered_try_leaves_the_event_undecided() -> None:
    made = ledger(a=Outcome.UNDECIDED)
    made.note(A, Outcome.REFUSED)
    assert judge(made, [A]).holds
    assert judge(made, []).holds


def test_an_acceptance_after_a_refusal_counts() -> None:
    made = ledger(a=Outcome.REFUSED)
    made.note(A, Outcome.ACCEPTED)
    assert judge(made, []).lost == 1
    assert made.wait_for(1, timeout_s=0)

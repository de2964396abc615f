"""Which tasks a lane sets aside."""

from __future__ import annotations

from clawlogd.delivery.parking import Parking


def parked(*task_ids: str) -> Parking:
    parking = Parking()
    for task_id in task_ids:
        parking.suspect(task_id, f"500 for {task_id}")
    parking.park_suspects(100.0)
    return parking


def test_a_suspect_is_passed_over_and_not_yet_parked() -> None:
    parking = Parking()
    parking.suspect("a", "500")
    assert (parking.excluded, len(parking), parking.next_due()) == ({"a"}, 0, None)


def test_when_all_have_failed_it_was_none_of_them() -> None:
    parking = Parking()
    parking.suspect("a", "500")
    assert parking.clear_suspects() is True
    assert parking.excluded == set()
    assert parking.clear_suspects() is False


def test_when_nothing_gets_through_the_parked_that_are_due_are_probed_with_again() -> None:
    parking = parked("a", "b")
    parking.failed("a", 100.0, "still", max_delay_s=30.0)
    parking.suspect("c", "500")
    assert parking.clear_suspects(100.0) is True
    assert parking.excluded == {"a"}
    assert parking.clear_suspects(100.0) is False


def test_the_parked_are_tried_at_once_then_less_and_less_often() -> None:
    parking = parked("a")
    assert (parking.due(100.0), parking.detail) == (["a"], "500 for a")
    pauses = []
    now = 100.0
    for number in range(6):
        assert parking.failed("a", now, "still", max_delay_s=30.0) is (number == 0)
        assert parking.due(now) == []
        due = parking.next_due()
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses == [5.0, 10.0, 20.0, 30.0, 30.0, 30.0]
    assert parking.detail == "still"


def test_the_parked_are_tried_together_fewer_while_that_fails_and_more_when_it_does_not() -> None:
    parking = parked("a", "b", "c")
    assert (parking.due(100.0), parking.round_size) == (["a", "b", "c"], 1000)
    parking.failed_together(3)
    assert parking.round_size == 1
    parking.failed("a", 100.0, "still", max_delay_s=30.0)
    assert parking.due(100.0) == ["b", "c"]
    parking.succeeded({"b"})
    assert (parking.due(100.0), parking.round_size) == (["c"], 2)


def test_one_that_gets_through_goes_on_as_others_do() -> None:
    parking = parked("a", "b")
    parking.succeeded({"a"})
    parking.unpark({"never there"})
    assert parking.excluded == {"b"}


def test_someone_in_a_hurry_makes_all_due() -> None:
    parking = parked("a", "b")
    for task_id in ("a", "b"):
        parking.failed(task_id, 100.0, "still", max_delay_s=30.0)
    parking.retry_now(101.0)
    assert (parking.due(101.0), parking.next_due()) == (["a", "b"], 101.0)

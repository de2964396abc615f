"""When a task is looked at for whether its agent fell silent: once its last sign is old, and not with each sign before."""

from __future__ import annotations

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.live.silence import SilenceWatch
from clawlog_backend.storage.changes import Change


def heard(*settles: int | None) -> SilenceWatch:
    """A watch that heard of task 1, each time with when it may next fall silent."""
    watch = SilenceWatch()
    for seq, due in enumerate(settles, 1):
        watch.heard(Change(seq, tasks=(1,), settles={1: due}))
    return watch


def test_a_task_that_goes_on_is_looked_at_when_its_last_sign_grows_old() -> None:
    watch = heard(100, 200)
    assert watch.take_due(UtcMs(199), 9) == {}
    assert watch.take_due(UtcMs(200), 9) == {1: 200}
    assert watch.take_due(UtcMs(900), 9) == {}


def test_a_task_of_which_signs_are_expected_sooner_is_looked_at_sooner_and_once() -> None:
    watch = heard(200, 100)
    assert watch.take_due(UtcMs(100), 9) == {1: 100}
    assert watch.take_due(UtcMs(900), 9) == {}


def test_a_task_that_ended_is_not_looked_at_and_is_again_once_it_goes_on() -> None:
    assert heard(100, None).take_due(UtcMs(900), 9) == {}
    assert heard(100, None, 300).take_due(UtcMs(900), 9) == {1: 300}


def test_a_task_that_another_replica_heard_of_is_looked_at_at_once() -> None:
    watch = heard(500)
    watch.heard(Change(2, tasks=(1,)))
    assert watch.take_due(UtcMs(0), 9) == {1: 0}


def test_a_task_that_was_heard_of_while_it_was_looked_at_is_watched_for_the_newer_sign() -> None:
    watch = heard(100)
    taken = watch.take_due(UtcMs(100), 9)
    watch.heard(Change(2, tasks=(1,), settles={1: 300}))
    watch.begin_with(taken)  # the look failed
    assert watch.take_due(UtcMs(200), 9) == {1: 0}

"""Links and changed metadata: what is kept, what is told, what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.errors import InvalidValue, TaskFinished
from clawlogd.model import EventKind, Link, Task, TaskStatus
from clawlogd.tasks.attachments import annotate, link

TASK = Task("t", "T", "http://x", 0, metadata={"branch": "main", "draft": "yes"})
REPORT: dict[str, Any] = {"event_id": "e", "at_ms": 1_000}


def test_pairs_are_set_and_removed_and_the_others_stay() -> None:
    change = annotate(TASK, {"branch": "docs", "draft": None, "none of these": None, "new\nkey": "a\x00b"}, **REPORT)
    assert change.task.metadata == {"branch": "docs", "new key": "a b"}
    assert change.event.kind is EventKind.METADATA
    assert change.event.metadata == {"branch": "docs", "draft": None, "none of these": None, "new key": "a b"}


def test_a_task_has_no_more_pairs_than_it_may_but_all_can_be_replaced_at_once() -> None:
    full = annotate(TASK, {f"k{number}": "v" for number in range(18)}, **REPORT).task
    with pytest.raises(InvalidValue, match="would have 21 pairs") as refused:
        annotate(full, {"one more": "v"}, **REPORT)
    assert refused.value.field == "metadata"
    replaced = annotate(full, dict.fromkeys(full.metadata) | {f"n{number}": "v" for number in range(20)}, **REPORT).task
    assert sorted(replaced.metadata) == sorted(f"n{number}" for number in range(20))


def test_keys_that_become_the_same_are_refused() -> None:
    with pytest.raises(InvalidValue, match="two keys"):
        annotate(TASK, {"a": "1", "a\n": None}, **REPORT)


def test_links_stand_in_the_order_in_which_they_came_and_an_address_that_is_there_gets_the_new_name() -> None:
    task = link(TASK, "https://x/1", "one", **REPORT).task
    task = link(task, "http://x/2?a=b&c#d", None, **REPORT).task
    change = link(task, "https://x/1", "uno\n", **REPORT)
    assert change.task.links == (Link("https://x/1", "uno"), Link("http://x/2?a=b&c#d"))
    assert (change.event.kind, change.event.url, change.event.name) == (EventKind.LINK, "https://x/1", "uno")


def test_a_task_has_no_more_links_than_it_may() -> None:
    full = msgspec.structs.replace(TASK, links=tuple(Link(f"https://x/{number}") for number in range(50)))
    assert link(full, "https://x/7", "seven", **REPORT).task.links[7].name == "seven"
    with pytest.raises(InvalidValue, match="50 links") as refused:
        link(full, "https://x/another", None, **REPORT)
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://x/",
        "//x/",
        "https://",
        "https:///path",
        "https://me@x/",
        "https://:secret@x/",
        "https://me:secret@x/",
        "https://x:99999/",
        "https://[x/",
        "https://x/a b",
        "https://x/\u202egpj",
        "https://x/\x00",
        'https://x/"onclick=',
        "https://x/<script>",
        "https://x\\@evil/",
        " https://x/",
    ],
)
def test_an_address_that_nobody_should_be_offered_to_open_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        link(TASK, url, None, **REPORT)
    assert refused.value.field == "url"


def test_a_name_of_which_nothing_can_be_shown_is_refused() -> None:
    with pytest.raises(InvalidValue, match="name"):
        link(TASK, "https://x", "\x1b[0m", **REPORT)


def test_a_finished_task_takes_neither() -> None:
    finished = msgspec.structs.replace(TASK, status=TaskStatus.DONE, finished=True)
    with pytest.raises(TaskFinished):
        link(finished, "https://x", None, **REPORT)
    with pytest.raises(TaskFinished):
        annotate(finished, {"a": "b"}, **REPORT)

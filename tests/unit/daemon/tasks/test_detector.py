"""What is found out about a new task unasked, for whom, and within which time."""

from __future__ import annotations

import asyncio
import os
import pwd
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clawlogd.context import Origin, Peer
from clawlogd.tasks import detector as module
from clawlogd.tasks.detector import Found, MetadataDetector, complete

HOST, USER = os.uname().nodename, pwd.getpwuid(os.geteuid()).pw_name
HERE = Peer(Origin.THIS_KERNEL, os.getpid(), uid=os.geteuid())


@pytest.fixture
def detector() -> Iterator[MetadataDetector]:
    made = MetadataDetector()
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path) -> str:
    git = tmp_path / "shop" / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    return str(git.parent)


async def test_a_folder_is_read_and_what_needs_no_reading_is_known_at_once(detector: MetadataDetector, project: str) -> None:
    assert detector.without_reading(None, HERE) == Found(host=HOST, user=USER)
    assert detector.without_reading(project, HERE) is None
    assert await detector.read(project, HERE) == Found("shop", HOST, "main", USER)


async def test_nothing_is_known_of_who_may_be_on_another_machine(detector: MetadataDetector, project: str) -> None:
    assert detector.without_reading(project, Peer(Origin.NETWORK)) == Found()


async def test_the_user_is_the_callers(detector: MetadataDetector) -> None:
    other = next(each for each in pwd.getpwall() if each.pw_uid != os.geteuid())
    peer = msgspec.structs.replace(HERE, uid=other.pw_uid)
    assert detector.without_reading(None, peer) is None
    assert await detector.read(None, peer) == Found(host=HOST, user=other.pw_name)
    assert detector.without_reading(None, peer) == Found(host=HOST, user=other.pw_name)
    nobody = msgspec.structs.replace(HERE, uid=4_000_000_000)
    assert await detector.read(None, nobody) == Found(host=HOST)


async def test_the_folder_of_a_caller_that_cannot_be_seen_is_not_looked_for_here(
    detector: MetadataDetector, project: str
) -> None:
    assert await detector.read(project, Peer(Origin.THIS_KERNEL, 0, uid=os.geteuid())) == Found(host=HOST, user=USER)


@pytest.mark.parametrize(
    ("theirs", "uid", "project_told"),
    [
        (1, os.geteuid(), None),  # in a container
        (None, os.geteuid(), "shop"),  # as a service in a user namespace sees its user's processes
        (None, 4_000_000_000, None),
    ],
)
async def test_the_folder_of_a_caller_in_a_container_is_not_looked_for_here(
    detector: MetadataDetector,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    theirs: int | None,
    uid: int,
    project_told: str | None,
) -> None:
    monkeypatch.setattr(module, "_pid_namespace", lambda _: theirs)
    peer = msgspec.structs.replace(HERE, uid=uid)
    assert (await detector.read(project, peer)).project == project_told
    assert (await detector.read(project, Peer(pid_namespace=1))).project is None


async def test_a_disk_that_does_not_answer_costs_a_twentieth_of_a_second_and_is_asked_once(
    detector: MetadataDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), []

    def hang(folder: str) -> None:
        asked.append(folder)
        answers.wait(10)

    monkeypatch.setattr(module, "find_checkout", hang)
    began = time.monotonic()
    found = await asyncio.gather(*(detector.read("/far", HERE) for _ in range(20)))
    assert time.monotonic() - began < 1
    assert set(found) == {Found(host=HOST, user=USER)}
    assert asked == ["/far"]
    answers.set()


async def test_reads_are_bounded_in_number(detector: MetadataDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(module, "find_checkout", lambda _: answers.wait(10) and None)
    began = time.monotonic()
    await asyncio.gather(*(detector.read(f"/far/{number}", HERE) for number in range(2000)))
    assert time.monotonic() - began < 2
    assert len(detector._reading) <= 256  # noqa: SLF001 - what is bounded
    answers.set()


def test_the_callers_pairs_come_first_and_ours_only_while_there_is_room() -> None:
    found = Found("shop", "box", "main", "mu")
    assert complete({"host": "mine"}, found, folder="/w", tells_private=True) == {
        "host": "mine",
        "project": "shop",
        "branch": "main",
        "cwd": "/w",
        "user": "mu",
    }
    many = {f"k{number}": "v" for number in range(18)}
    assert list(complete(many, found, folder="/w", tells_private=True))[18:] == ["project", "host"]


def test_user_folder_and_command_are_for_this_machine_alone_unless_set() -> None:
    given, found = {"command": "make", "agent": "a"}, Found("shop", "box", "main", "mu")
    private = {"command", "cwd", "user"}
    assert private.isdisjoint(complete(given, found, folder="/w", tells_private=False))
    assert private <= complete(given, found, folder="/w", tells_private=True).keys()
    # A caller that names no folder gave the command by hand.
    assert complete(given, found, folder=None, tells_private=False)["command"] == "make"


async def test_what_fits_no_pair_is_left_out_and_what_no_text_may_hold_is_cleaned(
    detector: MetadataDetector, tmp_path: Path
) -> None:
    git = tmp_path / "a\x1b[0m\nb" / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/" + "x" * 1001)
    assert await detector.read(str(git.parent), HERE) == Found("a b", HOST, None, USER)
    assert complete({}, Found(), folder="/" + "x" * 1000, tells_private=True) == {}
    assert complete({}, Found(), folder="/a\nb", tells_private=True) == {"cwd": "/a b"}

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog import spool
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import StepHandle
from clawlog.errors import Refused, SpoolFailed
from clawlog.protocol import spool as spool_format
from clawlog.protocol import vocabulary
from clawlog.protocol.summary import clean

ACK = ("interrupt.ack", {"task_id": "t", "event_id": "e"})


@pytest.fixture
def folder(env: dict[str, str]) -> Path:
    return Path(env["CLAWLOG_STATE_DIR"]) / "spool"


def spooled(folder: Path) -> list[spool_format.SpooledCalls]:
    return [spool_format.decode(path.read_bytes()) for path in sorted(folder.glob("*.call"))]


def test_what_is_kept_can_be_read_back_with_its_time(folder: Path, env: dict[str, str]) -> None:
    (result,) = spool.keep([("step.update", {"task_id": "t", "step": 1, "status": "done", "event_id": "e"})], env)
    assert result == {"accepted": True, "event_id": "e", "spooled": True}
    (kept,) = spooled(folder)
    assert kept.requests == (("step.update", {"task_id": "t", "step": 1, "status": "done", "event_id": "e"}),)
    assert abs(time.time() - __import__("datetime").datetime.fromisoformat(kept.at).timestamp()) < 60


def test_only_the_owner_can_read_it(folder: Path, env: dict[str, str]) -> None:
    spool.keep([ACK], env)
    modes = {path.name.endswith(".call"): stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {True: 0o600, False: 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_names_grow_even_when_the_clock_goes_back(folder: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for now in (5_000, 1_000, 1_000, 9_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        spool.keep([ACK], env)
    names = sorted(path.name for path in folder.glob("*.call"))
    assert names == [f"{number:020d}.call" for number in (5_000, 5_001, 5_002, 9_000)]


def test_writers_at_the_same_time_do_not_take_each_others_names(folder: Path, env: dict[str, str]) -> None:
    threads = [threading.Thread(target=spool.keep, args=([ACK], env)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spooled(folder)) == 20


def test_a_created_task_gets_ids_that_later_calls_can_name(folder: Path, env: dict[str, str]) -> None:
    call = calls.create_task("部署", ["检查", calls.NewStep("write", "mine")])
    (result,) = spool.keep([(call.method, call.params)], env)
    task = call.decode_result(result)
    assert task.spooled
    assert [step.step_id for step in task.steps] == [f"{task.task_id}-1", "mine"]
    ((_, request),) = spooled(folder)[0].requests
    assert request["steps"] == [{"title": "检查", "step_id": f"{task.task_id}-1"}, {"title": "write", "step_id": "mine"}]


def test_a_step_is_added_with_an_id_that_later_calls_can_name(folder: Path, env: dict[str, str]) -> None:
    call = calls.add_step("t", "found")
    result = call.decode_result(spool.keep([(call.method, call.params)], env)[0])
    ((_, written),) = spooled(folder)[0].requests
    assert result.step == StepHandle(written["step_id"], None, "found", "pending"), "its position is the daemon's to know"
    assert (result.spooled, result.pending) == (True, None)


def test_a_plan_links_and_metadata_may_wait(folder: Path, env: dict[str, str]) -> None:
    for call in (calls.plan_task("t", ["a"]), calls.link_task("t", "https://x"), calls.annotate_task("t", {"k": None})):
        assert call.decode_result(spool.keep([(call.method, call.params)], env)[0]).spooled


def test_a_summary_is_masked_before_it_touches_the_disk_and_left_uncut(folder: Path, env: dict[str, str]) -> None:
    secret = "ghp_" + "a" * 36
    text = f"x\x1b[31m\n{secret} " + "y" * 900
    (result,) = spool.keep([("task.update", {"task_id": "t", "event_id": "e", "summary": text})], env)
    (path,) = folder.glob("*.call")
    assert secret.encode() not in path.read_bytes()
    (summary,) = [params["summary"] for _, params in spooled(folder)[0].requests]
    assert summary == "x [masked] " + "y" * 900
    assert "summary_truncated" not in result, "where the daemon cuts is not known here"


def test_a_summary_that_every_daemon_cuts_is_bounded_and_said_to_be_cut(folder: Path, env: dict[str, str]) -> None:
    (result,) = spool.keep([("task.update", {"task_id": "t", "event_id": "e", "summary": "部" * 100_000})], env)
    (summary,) = [params["summary"] for _, params in spooled(folder)[0].requests]
    assert summary == "部" * (vocabulary.MAX_SUMMARY_CHARS - 1) + "…"
    assert result["summary_truncated"] is True


@given(
    st.lists(st.sampled_from(["ab ", "部署", "\n", "\x1b[31m", "ghp_" + "a" * 20, " ", "x" * 37])).map("".join),
    st.integers(vocabulary.MIN_SUMMARY_CHARS, vocabulary.MAX_SUMMARY_CHARS),
)
def test_the_daemon_makes_of_it_what_it_makes_of_the_callers_own_text(text: str, max_chars: int) -> None:
    on_disk, _ = clean(text, max_chars=vocabulary.MAX_SUMMARY_CHARS)
    assert clean(on_disk, max_chars=max_chars)[0] == clean(text, max_chars=max_chars)[0]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (calls.create_task("", []), "title"),
        (calls.create_task("x" * 201, []), "title"),
        (calls.create_task("x", ["s"] * 201), "steps"),
        (calls.create_task("x", ["ok", ""]), r"steps\[1\]"),
        (calls.create_task("x", task_id="i" * 65), "task_id"),
        (calls.create_task("x", metadata={"": "v"}), "metadata"),
        (calls.create_task("x", metadata={"k" * 65: "v"}), "metadata"),
        (calls.add_step("t", ""), "title"),
        (calls.plan_task("t", ["ok", "x" * 201]), r"steps\[1\]"),
        (calls.plan_task("t", ["s"] * 201), "steps"),
        (calls.annotate_task("t", {"k" * 65: None}), "metadata"),
    ],
)
def test_what_the_daemon_would_decline_later_is_declined_at_once(
    folder: Path, env: dict[str, str], call: Call[object], field: str
) -> None:
    with pytest.raises(Refused, match=field) as caught:
        spool.keep([(call.method, call.params)], env)
    assert caught.value.name == "invalid_params"
    assert spooled(folder) == []


@pytest.mark.parametrize("failing", ["fsync", "link", "open"])
def test_a_full_disk_is_told_and_leaves_nothing_half_done(
    folder: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    spool.keep([ACK], env)
    real = getattr(os, failing)

    def full(*args: object, **kwargs: object) -> object:
        if failing == "open" and not str(args[0]).endswith(".draft"):
            return real(*args, **kwargs)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(SpoolFailed, match="No space left"):
        spool.keep([ACK], env)
    monkeypatch.undo()
    assert len(spooled(folder)) == 1
    assert not list(folder.glob("*.draft"))


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolFailed, match="cannot be written"):
        spool.keep([ACK], {"CLAWLOG_STATE_DIR": str(tmp_path / "file" / "state")})


def test_only_events_may_wait() -> None:
    words = "task.create task.update task.plan task.link task.annotate step.update step.add interrupt.ack"
    assert all(map(spool.is_spoolable, words.split()))
    assert not spool.is_spoolable("task.heartbeat")
    assert not spool.is_spoolable("interrupt.check")

"""The fast path where the daemon's socket is forbidden: it writes what the full path writes, or leaves it to that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog import drop, locations, spool
from clawlog.protocol import spool as protocol
from clawlog.protocol import vocabulary
from clawlog.protocol.summary import clean
from clawlog.scripting import fast, plan, sandboxed

LINES = [
    ("create_task", ["--title", "部署", "--step", "a", "--step", 'b "quoted"', "--summary", "begun", "--lease", "60"]),
    ("create_task", ["--title", "t", "--watch-pid", "7", "--parent", "p", "--base-url", "http://b:1"]),
    ("create_task", ["--title", "t", "--task-id", "x" * 64, "--step", "long ids make new ones"]),
    (
        "update_status",
        ["--task-id", "t", "--step-id", "1", "--step-status", "done", "--step-summary", "ok", "--progress", "1/2"],
    ),
    ("update_status", ["--task-id", "t", "--heartbeat", "--heartbeat-summary", "写配置", "--progress", "3"]),
    ("update_status", ["--task-id", "t", "--add-step", "x", "--after", "1", "--link", "pr=https://x"]),
    ("update_status", ["--task-id", "t", "--waiting-for", "drop column orders.note?"]),
    ("update_status", ["--task-id", "t", "--task-status", "done", "--ack-interrupt", "--ack-summary", "stopped"]),
]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A daemon is there, and empties a folder that can be written to; the spool cannot."""
    env = {"CLAWLOG_STATE_DIR": str(tmp_path / "state"), "CLAWLOG_DROP": str(tmp_path / "drop")}
    (tmp_path / "state" / "run").mkdir(parents=True)
    (tmp_path / "state" / "run" / "drops").write_text(line(tmp_path / "drop"))
    (tmp_path / "state" / "spool").touch()
    return env


def line(path: Path) -> str:
    return f"{locations.drop_mark(str(path))} {path}\n"


def files(env: dict[str, str]) -> list[bytes]:
    paths = sorted(Path(env["CLAWLOG_DROP"]).glob("*.call"))
    found = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    return found


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "new_uuid", lambda: "00000000-0000-7000-8000-000000000000")
    monkeypatch.setattr("clawlog.protocol.ids.new_uuid", lambda: "00000000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(("script", "arguments"), LINES)
def test_both_write_the_same_file_and_say_the_same(env: dict[str, str], script: str, arguments: list[str]) -> None:
    plain = fast.prepare(script, arguments, {})
    assert plain is not None
    requests = plain[1]
    quick = sandboxed.perform(requests, env)
    assert quick is not None
    (by_fast,) = files(env)
    kept = spool.keep_from_sandbox([(each.method, each.params) for each in requests], env)
    (by_full,) = files(env)
    assert [json.loads(each) for each in quick] == kept.results
    assert timeless(by_fast) == timeless(by_full)
    assert protocol.decode(by_fast).sandboxed


def timeless(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(content.partition(b"\n")[2])
    assert abs(len(value.pop("at"))) == len("2026-02-28T09:00:00.000Z")
    return value


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("update_status", ["--task-id", "t", "--task-status", "done", "--task-summary", "key sk-0123456789abcdef"]),
        ("update_status", ["--task-id", "t", "--task-status", "done", "--task-summary", "two\nlines"]),
        ("update_status", ["--task-id", "t", "--task-status", "done", "--task-summary", "x" * 1001]),
        ("update_status", ["--task-id", "t", "--check-interrupt"]),
        ("create_task", ["--title", " "]),
        ("create_task", ["--title", "x" * 201]),
        ("create_task", ["--title", "t", "--task-id", "x" * 65]),
    ],
)
def test_what_is_unusual_is_left_alone(env: dict[str, str], script: str, arguments: list[str]) -> None:
    plain = fast.prepare(script, arguments, {})
    assert plain is not None
    assert sandboxed.perform(plain[1], env) is None
    assert files(env) == []


def test_where_no_daemon_is_seen_or_none_finds_it_the_full_path_warns(env: dict[str, str]) -> None:
    plain = fast.prepare("create_task", ["--title", "t"], {})
    assert plain is not None
    told = Path(env["CLAWLOG_STATE_DIR"]) / locations.DROPS_NAME
    told.write_text("1:1 /elsewhere\n")
    assert sandboxed.perform(plain[1], env) is None
    told.write_text(f"7:7 {env['CLAWLOG_DROP']}\n")  # what the daemon sees by that path is another folder, as of a private /tmp
    assert sandboxed.perform(plain[1], env) is None
    told.write_text(line(Path(env["CLAWLOG_DROP"])))
    os.utime(told, (0, 0))
    assert sandboxed.perform(plain[1], env) is None
    assert files(env) == []


PIECES = ["Bearer ", "sk-", "ghp_", "eyJ", "AKIA", "aws_secret_access_key=x", "x" * 40, "a b", "  ", "\n", " ", "é", "."]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_what_passes_for_plain_needs_no_cleaning(text: str) -> None:
    if sandboxed.is_plain_summary(text):
        assert clean(text, max_chars=vocabulary.MAX_SUMMARY_CHARS) == (text, False)


def test_every_word_that_is_masked_begins_with_one_that_is_not_plain() -> None:
    words = [
        "-----BEGIN RSA PRIVATE KEY-----", "Bearer abcdefgh", "Basic abcdefgh", "sk-abcdefghijkl", "ghp_0123456789abcdef",
        "github_pat_01234567890123456789", "glpat-0123456789abcdef", "xoxb-0123456789", "AKIA0123456789ABCDEF",
        "aws_secret_access_key = x", "Aws_Secret_Access_Key: x", "eyJabcdefgh.abcdefgh.abcdefgh",
    ]  # fmt: skip
    for word in words:
        assert clean(word, max_chars=1000)[0] != word
        assert not sandboxed.is_plain_summary(f"a {word}")


def test_the_suffix_is_the_protocols() -> None:
    assert drop.SUFFIX == protocol.SUFFIX

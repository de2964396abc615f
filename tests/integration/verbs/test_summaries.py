"""A summary reaches the backend as one short line without control characters and without credentials."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.settings import Summary
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon

TREATED = [
    pytest.param("starting config generation", "starting config generation", id="plain"),
    pytest.param("two\nlines\r\n\tand\x00more\u2028still", "two lines and more still", id="line breaks and controls"),
    pytest.param("\x1b[1;31mred\x1b[0m \x1b]0;title\x07text", "red text", id="ANSI"),
    pytest.param("部署完成 ✓ — naïve 👩‍💻", "部署完成 ✓ — naïve 👩‍💻", id="unicode"),
    pytest.param("safe \u202egnp.exe", "safe gnp.exe", id="bidi override"),
    pytest.param("key sk-proj0123456789abcdef used", "key [masked] used", id="sk-"),
    pytest.param("push with ghp_0123456789abcdefABCDEF0123456789abcd", "push with [masked]", id="ghp_"),
    pytest.param("AKIAIOSFODNN7EXAMPLE in env", "[masked] in env", id="AWS"),
    pytest.param("Authorization: Bearer abcdef0123456789", "Authorization: [masked]", id="Bearer"),
    pytest.param("-----BEGIN RSA PRIVATE KEY----- MIIE", "[masked]", id="private key"),
    pytest.param("x" * 120, "x" * 120, id="120 characters"),
]


@pytest.mark.parametrize(("given", "kept"), TREATED)
async def test_a_summary_is_made_one_clean_line(daemon: RunningDaemon, plain: PlainServer, given: str, kept: str) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    accepted = await daemon.call("step.update", task_id="t", step=1, status="running", summary=given)
    assert "summary_truncated" not in accepted
    await daemon.flush()
    assert plain.only_task.steps[0].summary == kept
    assert (await daemon.call("task.get", task_id="t"))["steps"][0]["summary"] == kept


async def test_a_long_summary_is_cut_in_code_points_and_every_verb_says_so(daemon: RunningDaemon, plain: PlainServer) -> None:
    long = "部" * 121
    cut = "部" * 119 + "…"
    truncated: list[Any] = [
        await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url, summary=long),
        await daemon.call("step.update", task_id="t", step=1, status="running", summary=long),
        await daemon.call("task.heartbeat", task_id="t", summary=long),
        await daemon.call("task.update", task_id="t", status="running", summary=long),
    ]
    await daemon.flush()
    plain.ask_to_stop(plain.only_task.task_id)
    truncated.append(await daemon.call("interrupt.ack", task_id="t", summary=long))
    assert [each["summary_truncated"] for each in truncated] == [True] * 5
    await daemon.flush()
    assert [each.body["summary"] for each in plain.events] == [cut] * 4


async def test_where_it_is_cut_and_whether_it_is_masked_can_be_set(new_daemon: Any, plain: PlainServer) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, summary=Summary(max_chars=40, mask_credentials=False)))
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url, summary="x" * 41)
    await daemon.call("task.update", task_id="t", status="running", summary="ghp_0123456789abcdefABCDEF")
    await daemon.flush()
    assert [each.body["summary"] for each in plain.events] == ["x" * 39 + "…", "ghp_0123456789abcdefABCDEF"]


@pytest.mark.parametrize("given", ["", " \n\t", "\x1b[0m"])
async def test_a_summary_with_nothing_in_it_is_none_at_all(daemon: RunningDaemon, plain: PlainServer, given: str) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url, summary="first")
    await daemon.call("task.update", task_id="t", status="running", summary=given)
    await daemon.flush()
    assert "summary" not in plain.events[1].body
    assert plain.only_task.summary == "first"

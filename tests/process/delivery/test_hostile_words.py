"""What a backend says, however it is spelt, neither ends the daemon nor reaches a person as anything but one clean line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.callers import call
from support.daemon_process import DaemonProcess
from support.hostile_server import Answer, Asked, HostileServer
from support.hostile_texts import TEXTS, unclean, unclean_lines
from support.running_daemon import until

NewHostile = Callable[..., Awaitable[HostileServer]]
SURROGATE = Answer(body=b'{"title":"t","detail":"\\ud800"}')


def on_events(answer: Answer) -> Callable[[Asked], Answer | None]:
    return lambda asked: answer if asked.path == "/api/events" else None


def with_status(status: int) -> Answer:
    return Answer(status, SURROGATE.body)


async def letters(process: DaemonProcess) -> list[dict[str, Any]]:
    return list((await process.call("deadletter.list"))["dead_letters"])


async def test_an_outage_told_in_words_that_cannot_be_encoded_is_shown_and_passes(
    process: DaemonProcess, hostile: HostileServer, new_hostile: NewHostile
) -> None:
    other = await new_hostile()
    hostile.poison = on_events(with_status(503))
    await process.call("task.create", title="T", task_id="t", base_url=hostile.url)
    await process.call("task.create", title="T", task_id="o", base_url=other.url)
    await other.until(lambda: "o" in other.tasks)

    async def in_outage() -> bool:
        status = await process.call("daemon.status")
        assert unclean(status) == []
        return any("HTTP 503" in problem for problem in status["problems"])

    await until(in_outage)
    await process.until_notified("STATUS=waiting events: 1")  # which is how the service manager is told, too
    hostile.poison = lambda _: None
    await hostile.until(lambda: "t" in hostile.tasks)
    assert process.process.returncode is None


async def test_a_refusal_in_words_that_cannot_be_encoded_is_a_dead_letter_that_survives_a_restart(
    process: DaemonProcess, hostile: HostileServer, new_hostile: NewHostile
) -> None:
    other = await new_hostile()
    hostile.poison = on_events(with_status(422))
    await process.call("task.create", title="T", task_id="t", base_url=hostile.url)

    async def dead() -> bool:
        return len(await letters(process)) == 1

    await until(dead)
    await process.stop()
    await process.start()
    (letter,) = await letters(process)
    assert (letter["task_id"], letter["backend_status"]) == ("t", 422)
    assert "HTTP 422: t" in letter["backend_reply"]
    assert unclean(letter) == []
    await process.call("task.create", title="T", task_id="o", base_url=other.url)
    await other.until(lambda: "o" in other.tasks)


CODES: tuple[tuple[Any, int | None], ...] = (
    ("404", 404),
    ("²", None),
    ("٤٠٤", None),
    ("9223372036854775808", None),
    ("40", None),
    ("4040", None),
    (" 404", 404),
    ("-404", None),
    (404, 404),
    (2**200, None),
    (True, None),
    (4.04, None),
    ([], None),
    ({"a": "b"}, None),
    (None, None),
)


async def test_a_status_is_three_ascii_digits_or_none(process: DaemonProcess, hostile: HostileServer) -> None:
    def refuse(asked: Asked) -> Answer | None:
        if asked.path != "/api/events":
            return None
        return Answer(
            body={
                "results": [
                    {"event_id": each["event_id"], "status": "rejected", "code": CODES[int(each["task_id"])][0], "detail": "no"}
                    for each in asked.body["events"]
                ]
            }
        )

    hostile.poison = refuse
    for number in range(len(CODES)):
        await process.call("task.create", title="T", task_id=str(number), base_url=hostile.url)

    async def all_dead() -> bool:
        return len(await letters(process)) == len(CODES)

    await until(all_dead)
    found = await letters(process)
    assert [(CODES[int(each["task_id"])][0], each["backend_status"]) for each in found] == list(CODES)
    await process.stop()
    await process.start()
    assert await letters(process) == found


@pytest.mark.parametrize("log_format", ["text", "json", "journal"])
async def test_whatever_a_backend_says_is_one_clean_line_in_status_letters_and_log(
    new_process: Callable[..., DaemonProcess], hostile: HostileServer, log_format: str
) -> None:
    process = await new_process(CLAWLOG_LOG_FORMAT=log_format, CLAWLOG_LOG_LEVEL="debug").start()
    names = list(TEXTS)

    def refuse(asked: Asked) -> Answer | None:
        if asked.path != "/api/events":
            return None
        results = []
        for each in asked.body["events"]:
            text = TEXTS[names[int(each["task_id"])]]
            refused = {"status": "rejected", "code": text, "detail": text}
            results.append({"event_id": each["event_id"], **refused})
        return Answer(body={"results": results})

    hostile.poison = refuse
    caller = await process.connect()
    for number in range(len(names)):
        await call(caller, "task.create", title="T", task_id=str(number), base_url=hostile.url)

    async def all_dead() -> bool:
        return len(await letters(process)) == len(names)

    await until(all_dead)
    found = await letters(process)
    assert unclean(found) == []
    assert all(len(letter["backend_reply"]) <= 500 for letter in found)
    assert unclean(await process.call("daemon.status")) == []
    await caller.close()
    await process.stop()
    assert unclean_lines(process.log) == []
    assert max(map(len, process.log.splitlines())) < 4096


async def test_a_problem_document_is_told_in_one_clean_line(process: DaemonProcess, new_hostile: NewHostile) -> None:
    servers = [await new_hostile() for _ in TEXTS]
    for server, text in zip(servers, TEXTS.values(), strict=True):
        server.poison = on_events(Answer(503, {"title": text, "detail": [text]}))
        await process.call("task.create", title="T", task_id=f"t{server.port}", base_url=server.url)

    async def all_told() -> bool:
        status = await process.call("daemon.status")
        assert unclean(status) == []
        return all(lane["last_error"] is not None for lane in status["backends"])

    await until(all_told)


async def test_a_state_folder_whose_name_is_no_text_is_shown_and_used(folder: Any, new_process: Any) -> None:
    process = new_process(CLAWLOG_STATE_DIR=f"{folder}/caf\udce9", CLAWLOG_BASE_URL="http://127.0.0.1:9")
    await process.start()
    await process.call("task.create", title="T", task_id="t")
    status = await process.call("daemon.status")
    assert "caf" in status["state_dir"]
    assert unclean(status) == []

"""A plain command line where the daemon's socket is forbidden: calls go out as a file, a stop is read from the task's view.

This is the fast path's other half, for what is usual: a daemon is there and empties a folder that can be written to, and what
it knows of a stop is fresh. All else is left to the full path (``delivery``), which can wait, warn and say what is wrong.
A test holds that both write the same file.

It must not import what the fast path must not.
"""

import os
import time
from zlib import crc32

from clawlog import drop, locations
from clawlog.protocol import ids
from clawlog.protocol.vocabulary import (
    DEFAULT_MAX_AGE_S,
    LATER_PARAMS,
    MAX_ID_CHARS,
    MAX_STEPS,
    MAX_SUMMARY_CHARS,
    MAX_TITLE_CHARS,
    PENDING,
    WAITING,
)
from clawlog.scripting.plan import PlannedRequest, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from clawlog.view import View

_EVENTS = ("task.create", "task.update", "task.link", "step.update", "step.add", "interrupt.ack")
_SECRETS = (
    *("-----BEGIN", "Bearer", "Basic", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox"),
    *("AKIA", "ASIA", "eyJ"),
)
"""A text without any of these holds nothing that ``protocol.summary`` would mask, but for one word."""


def perform(requests: "Sequence[PlannedRequest]", env: "Mapping[str, str]") -> "list[bytes] | None":
    """Carries requests out by files. Returns their results; None where anything is unusual, before anything was written."""
    writes = [each for each in requests if each.method != "interrupt.check"]
    if not all(_is_plain(each) for each in writes):
        return None
    daemon = drop.daemon(env)
    if not daemon.alive:
        return None
    seen = None
    for each in requests:
        if each.method == "interrupt.check":
            from clawlog import view  # noqa: PLC0415 - only here

            seen = view.look(each.params["task_id"], env, each.params.get("max_age_s", DEFAULT_MAX_AGE_S))
            if seen.state == "unknown":
                return None
            signs = [] if writes else [sign_of_life(each.params["task_id"])]
            writes = [*writes, *signs, *receipts(each.params["task_id"], seen)]
    try:
        prepared = [_prepare(each) for each in writes]
    except UnicodeEncodeError:  # the full path says what is wrong
        return None
    if not _write(prepared, env, daemon, durable=any(each.method in _EVENTS for each in writes)):
        return None
    results = {id(each): result for each, (_, result) in zip(writes, prepared, strict=True)}
    return [seen.answer if seen is not None and each.method == "interrupt.check" else results[id(each)] for each in requests]


def sign_of_life(task_id: str) -> PlannedRequest:
    """What a check is besides a question."""
    return PlannedRequest("heartbeat", "task.heartbeat", {"task_id": task_id})


def receipts(task_id: str, seen: "View") -> "list[PlannedRequest]":
    """What tells the daemon that the agent knows of its stop."""
    if seen.state != "requested" or (interrupt_id := interrupt_of(seen.answer)) is None:
        return []
    return [PlannedRequest("delivered", "interrupt.delivered", {"task_id": task_id, "interrupt_id": interrupt_id})]


def interrupt_of(answer: bytes) -> "str | None":
    """The stop's id in a view's answer; None where it is not a plain text, which the full path can read."""
    _, found, rest = answer.partition(b'"interrupt_id":"')
    text, _, _ = rest.partition(b'"')
    return text.decode() if found and b"\\" not in text else None


def _write(prepared: "list[tuple[str, bytes]]", env: "Mapping[str, str]", daemon: drop.Daemon, *, durable: bool) -> bool:
    """Writes the file. Returns False where the daemon would not find it, or it cannot be written."""
    now_ms = time.time_ns() // 1_000_000
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ms // 1000))
    texts = [text for text, _ in prepared]
    named = ""
    if any('"watch_pid":' in text for text in texts):
        try:
            named = f',"pid_namespace":{os.stat("/proc/self/ns/pid").st_ino}'
        except OSError:
            named = ""
    requests = ",".join(texts)
    body = f'{{"version":1,"at":"{at}.{now_ms % 1000:03d}Z","requests":[{requests}]{named},"sandboxed":true}}'.encode()
    content = b"%08x\n%s\n" % (crc32(body), body)
    if _is_spool_written(content, env):
        return True
    for path in drop.places(env):
        if daemon.empties(path):
            try:
                descriptor = drop.open_place(path)
                try:
                    drop.put_in(descriptor, content, durable=durable, most=drop.MAX_ENTRIES)
                finally:
                    os.close(descriptor)
            except (OSError, locations.Unfit):
                continue
            return True
    return False


def _is_spool_written(content: bytes, env: "Mapping[str, str]") -> bool:
    """Writes into the spool where the sandbox was opened for that."""
    folder = f"{locations.state_dir(env)}/{locations.SPOOL_NAME}"
    if not os.access(folder, os.W_OK):
        return False
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        drop.put_in(descriptor, content)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _prepare(request: PlannedRequest) -> tuple[str, bytes]:
    """Returns a request as it is written, and the result in the daemon's place, as ``spool`` has both."""
    params = request.params
    result: dict[str, Any] = {"accepted": True}
    if request.method == "task.create":
        task_id, titles = params["task_id"], params["steps"]
        steps = [{"title": title, "step_id": ids.step_id(task_id, n)} for n, title in enumerate(titles, 1)]
        params = {**params, "steps": steps}
        shown = [
            {"step_id": s["step_id"], "position": n, "title": s["title"], "status": PENDING} for n, s in enumerate(steps, 1)
        ]
        result = {"task_id": task_id, "title": params["title"], "base_url": params.get("base_url"), "steps": shown}
    elif "event_id" in params:
        result["event_id"] = params["event_id"]
    result["spooled"] = True
    if request.method == "step.add":
        step = {"step_id": params["step_id"], "position": None, "title": params["title"], "status": PENDING}
        result["step"] = step
    later = {name: params[name] for name in LATER_PARAMS.get(request.method, ()) if name in params}
    kept = {name: value for name, value in params.items() if name not in later}
    if request.method == "task.update" and params["status"] == WAITING:
        later["status"] = WAITING
        kept["status"] = "running"
    written = f'{{"method":"{request.method}","params":{encode(kept)}' + (f',"later":{encode(later)}}}' if later else "}")
    return written, encode(result).encode()


def _is_plain(request: PlannedRequest) -> bool:
    """Whether a request is as it may touch the disk, and no daemon is sure to decline it."""
    params = request.params
    if request.method != "task.heartbeat" and request.method not in _EVENTS:
        return False
    texts = [params["title"], *params.get("steps", ())] if "title" in params else []
    return (
        1 <= len(params["task_id"]) <= MAX_ID_CHARS
        and is_plain_summary(params.get("summary", ""))
        and len(texts) <= MAX_STEPS
        and all(1 <= len(text.strip()) <= MAX_TITLE_CHARS for text in texts)
    )


def is_plain_summary(text: str) -> bool:
    """Whether a summary needs neither cleaning, nor masking, nor cutting. May say no to one that does not."""
    return (
        len(text) <= MAX_SUMMARY_CHARS
        and text.isprintable()
        and "  " not in text
        and text == text.strip()
        and not any(mark in text for mark in _SECRETS)
        and "secret_access_key" not in text.lower()
    )

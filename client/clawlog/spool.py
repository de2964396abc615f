"""Writes events down for the next daemon to deliver, when none can be reached now.

The daemon drains the folder in the order of the names, so a name is a number that only grows, whatever the clock does. A file
is there whole or not at all, and survives a power cut once ``keep`` has returned.

What is written is what the caller gave; the daemon checks and cuts it by its own settings when it drains the folder, as it
does with every other call. Summaries are the one exception, and are treated by the daemon's own function
(``protocol.summary.clean``) before they touch the disk: a file may lie here for days, so what looks like a credential is
masked already, also where the setting ``summary.mask_credentials`` is off (a program does not know the daemon's settings);
and none is longer than the most that any setting of ``summary.max_chars`` lets through, so that a file stays small. Text that
was treated here comes out of the daemon as if it had been sent to it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from clawlog import locations
from clawlog.errors import Refused, SpoolFailed
from clawlog.protocol import errors, ids, spool, summary, vocabulary

SpooledRequest = tuple[str, Mapping[str, Any]]
"""A verb and its parameters."""


def is_spoolable(method: str) -> bool:
    """Whether a request may wait in the spool: an event may, a heartbeat or a query may not."""
    return method in spool.SPOOLABLE


def keep(requests: Sequence[SpooledRequest], env: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Writes the requests of one program call to a file of their own.

    Args:
        requests: Spoolable ones, in order, each with its ``event_id``, and a ``task.create`` with its ``task_id``.
        env: The environment variables that say where the state folder is.

    Returns:
        A result for each, as the daemon would have given it, with ``"spooled": true``. ``summary_truncated`` is there only
        for a summary that every daemon cuts; where the next one cuts is not known yet.

    Raises:
        Refused: The daemon is sure to decline a value; nothing was written.
        SpoolFailed: The file could not be written.
    """
    prepared = [_prepare(method, params) for method, params in requests]
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        folder = os.path.join(locations.state_dir(env), locations.SPOOL_NAME)
        write(folder, spool.encode(at, [request for request, _ in prepared], _pid_namespace(requests)))
    except locations.Unfit as error:
        raise SpoolFailed(f"The spool cannot be written: {error}") from error
    except OSError as error:
        raise SpoolFailed(f"The spool {folder} cannot be written: {error.strerror}") from error
    return [result for _, result in prepared]


def _pid_namespace(requests: Sequence[SpooledRequest]) -> int | None:
    """Where a process id that the requests name holds; None where they name none, or it is not known."""
    if not any("watch_pid" in params or "pid" in params for _, params in requests):
        return None
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def _prepare(method: str, params: Mapping[str, Any]) -> tuple[SpooledRequest, Mapping[str, Any]]:
    """Returns the request as it may touch the disk, and the result in the daemon's place."""
    request = dict(params)
    truncated = False
    if (text := request.get("summary")) is not None:
        request["summary"], truncated = summary.clean(text, max_chars=vocabulary.MAX_SUMMARY_CHARS)
    if method == "task.create":
        result = _created(request)
    elif method == "agent.event":
        result = {"decision": "go", "spooled": True}
    else:
        result = {"accepted": True, "event_id": request["event_id"], "spooled": True}
        if method == "step.add":
            _check_title("title", request["title"])
            step_id = request.setdefault("step_id", ids.new_uuid())
            result["step"] = {"step_id": step_id, "position": None, "title": request["title"], "status": vocabulary.PENDING}
        elif method == "task.plan":
            _steps_of(request["steps"])
            result["steps"] = []  # the daemon recognises them, by what it knows
        elif method == "task.annotate":
            _check_keys(request["metadata"])
    if truncated:
        result["summary_truncated"] = True
    return (method, request), result


def _created(request: dict[str, Any]) -> dict[str, Any]:
    title, task_id = request["title"], request["task_id"]
    _check_title("title", title)
    if not 1 <= len(task_id) <= vocabulary.MAX_ID_CHARS:
        raise _refusal("task_id", f"{len(task_id)} characters", f"1 to {vocabulary.MAX_ID_CHARS} characters are taken")
    _check_keys(request.get("metadata", ()))
    steps = _steps_of(request.get("steps", []))
    for position, step in enumerate(steps, 1):
        step.setdefault("step_id", ids.step_id(task_id, position))
    request["steps"] = steps  # with their ids: callers use them before a daemon has seen the task
    return {
        "task_id": task_id,
        "title": title,
        "base_url": request.get("base_url"),
        "steps": [
            {"step_id": s["step_id"], "position": n, "title": s["title"], "status": vocabulary.PENDING}
            for n, s in enumerate(steps, 1)
        ],
        "spooled": True,
    }


def _steps_of(given: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(given) > vocabulary.MAX_STEPS:
        raise _refusal("steps", f"{len(given)} steps", f"at most {vocabulary.MAX_STEPS} are taken")
    steps = [{"title": each} if isinstance(each, str) else dict(each) for each in given]
    for index, step in enumerate(steps):
        _check_title(f"steps[{index}]", step["title"])
    return steps


def _check_title(field: str, title: str) -> None:
    if not 1 <= len(title.strip()) <= vocabulary.MAX_TITLE_CHARS:
        raise _refusal(field, f"{len(title)} characters", f"1 to {vocabulary.MAX_TITLE_CHARS} characters are taken")


def _check_keys(metadata: Iterable[str]) -> None:
    for key in metadata:
        if not 1 <= len(key) <= vocabulary.MAX_METADATA_KEY_CHARS:
            hint = f"1 to {vocabulary.MAX_METADATA_KEY_CHARS} characters are taken"
            raise _refusal("metadata", f"a key of {len(key)} characters", hint)


def _refusal(field: str, message: str, hint: str) -> Refused:
    error = errors.invalid_params(field, message, hint)
    return Refused(error.code, error.message, error.data)


class _Writing(threading.local):
    active = False


_writing = _Writing()
"""Whether this thread writes to the spool: what interrupts it (a signal handler) must not wait for the lock that it holds."""

_drafts = count()
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)
"""How a file system says that it has no second names."""


def write(folder: str, content: bytes) -> None:
    """Adds a file to a spool folder, behind those that are there; when it returns, both are on disk.

    Raises:
        OSError: It could not be written; nothing is left of it.
        Unfit: The folder, or the one around it, is not the user's own.
    """
    for each in (os.path.dirname(folder), folder):
        locations.private_folder(each)
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    is_nested, _writing.active = _writing.active, True
    lock_fd = -1
    try:
        lock_fd = os.open(".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
        _lock(lock_fd, patiently=not is_nested)
        _write_in(folder_fd, content)
    finally:
        _writing.active = is_nested
        if lock_fd >= 0:
            fcntl.flock(lock_fd, fcntl.LOCK_UN)  # a process that was forked meanwhile has the descriptor, too
            os.close(lock_fd)
        os.close(folder_fd)


def _lock(fd: int, *, patiently: bool) -> None:
    """Takes the lock. What interrupts this thread's own writing goes on without it: then names alone keep the order."""
    if patiently:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_in(folder_fd: int, content: bytes) -> None:
    draft = f"{time.time_ns()}-{os.getpid()}-{threading.get_ident()}-{next(_drafts)}.draft"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        while True:
            name = _next_name(os.listdir(folder_fd))
            try:
                os.link(draft, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)  # never over another one
                break
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                os.rename(draft, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
                break
    finally:
        _remove(draft, folder_fd)
    os.fsync(folder_fd)


def _next_name(existing: Sequence[str]) -> str:
    numbers = [
        int(stem) for name in existing if name.endswith(spool.SUFFIX) and (stem := name.removesuffix(spool.SUFFIX)).isdecimal()
    ]
    return f"{max([time.time_ns(), *(number + 1 for number in numbers)]):020d}{spool.SUFFIX}"


def _remove(name: str, folder_fd: int) -> None:
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return

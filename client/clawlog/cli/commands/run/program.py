"""The command's own process: started as a shell would start it, in the same process group and session, on the same terminal."""

from __future__ import annotations

import errno
import os
import select
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from clawlog.cli.errors import CommandError

EXIT_NOT_RUNNABLE = 126
EXIT_NOT_FOUND = 127

_SHELL = b"/bin/sh"
_HEAD_BYTES = 256
_LOOK_EVERY_S = 0.05
_FAILURE = struct.Struct("=i")


def start(command: Sequence[str], prepare: Callable[[], Mapping[bytes, bytes]], on_stop: Callable[[int], None]) -> int:
    """Starts it; returns its process id.

    Args:
        command: What to run, with its arguments.
        prepare: Called in the new process, to make it what the command is to find; returns the environment.
        on_stop: Called with the signal that stopped it before it even was the program.

    Raises:
        CommandError: There is no such program, or it cannot be run.
    """
    arguments = [os.fsencode(each) for each in command]
    reader, writer = os.pipe()  # closed by a successful exec
    try:
        pid = os.fork()
    except OSError as error:
        raise CommandError(f"{shown(command[0])} cannot be run: {error.strerror}", EXIT_NOT_RUNNABLE) from None
    if pid == 0:
        _become(arguments, prepare, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        while not select.select([file], [], [], _LOOK_EVERY_S)[0]:
            if (stopped := os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)) is not None:
                on_stop(stopped.si_status)
        failure = file.read()
    if not failure:
        return pid
    os.waitpid(pid, 0)
    (number,) = _FAILURE.unpack_from(failure)
    raise _refusal(command[0], number, failure[_FAILURE.size :])


def shown(text: str) -> str:
    """A word of the command line as text, whatever its bytes."""
    return os.fsencode(text).decode("utf-8", "replace")


def _become(arguments: Sequence[bytes], prepare: Callable[[], Mapping[bytes, bytes]], writer: int) -> NoReturn:
    try:
        environment = prepare()
        failed, path = _exec(arguments, environment)
        os.write(writer, _FAILURE.pack(failed.errno or errno.EIO) + path)
    finally:
        os._exit(EXIT_NOT_RUNNABLE)  # never back into the caller's code


def _exec(arguments: Sequence[bytes], environment: Mapping[bytes, bytes]) -> tuple[OSError, bytes]:
    """Becomes the program, found as execvp(3) finds it; returns only where that fails, with the path that was found."""
    name = arguments[0]
    failed, found = OSError(errno.ENOENT, os.strerror(errno.ENOENT)), b""
    folders = [b""] if b"/" in name else environment.get(b"PATH", os.fsencode(os.defpath)).split(b":") if name else []
    for folder in folders:
        path = name if b"/" in name else os.path.join(folder or b".", name)
        try:
            os.execve(path, list(arguments), environment)  # noqa: S606 - the user's own command
        except OSError as error:
            if error.errno == errno.ENOEXEC and _is_text(path):
                os.execve(_SHELL, [_SHELL, path, *arguments[1:]], environment)  # noqa: S606 - as above
            if error.errno in (errno.ENOENT, errno.ENOTDIR) and not os.path.exists(path):
                continue
            if error.errno != errno.EACCES:
                return error, path
            failed, found = error, path  # perhaps another one further on can be run
    return failed, found


def _head(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES).partition(b"\n")[0]
    except OSError:
        return b"\0"


def _is_text(path: bytes) -> bool:
    return b"\0" not in _head(path)


def _refusal(name: str, number: int, path: bytes) -> CommandError:
    if not path:
        return CommandError(f"{shown(name)}: there is no such program", EXIT_NOT_FOUND)
    reason = os.strerror(number)
    if number == errno.ENOENT:  # the file is there: what is missing is what is to run it
        head = _head(path)
        interpreter = head.removeprefix(b"#!").strip(b" \t").split(b" ")[0].decode("utf-8", "replace")
        if not head.startswith(b"#!"):
            reason = "the loader that it needs is missing: it was made for another system"
        elif interpreter.endswith("\r"):
            reason = (
                f"it has Windows line ends, so that its first line names {interpreter.rstrip()} and a carriage return; "
                "convert it: sed -i 's/\\r$//' FILE"
            )
        else:
            reason = f"its first line names {interpreter}, and there is no such program"
    return CommandError(f"{shown(name)} cannot be run: {reason}", EXIT_NOT_RUNNABLE)

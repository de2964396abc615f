"""stdout and stderr of a program: a write that failed is an error, told once and at the end; a lost diagnostic is none.

Commands print as if every write went well. What went wrong is remembered, and ``finish`` turns it into one line and an exit
status; so no command needs to think of a full disk, and none ends in a traceback. A reader that has gone had enough: that is
``BrokenPipeError``, which ends a command, and no failure.
"""

from __future__ import annotations

import io
import os
import sys

from clawlog import exits


class _Output(io.FileIO):
    """stdout, unbuffered."""

    failure: OSError | None = None

    def write(self, data):  # type: ignore[no-untyped-def]
        """Writes, or remembers why not."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.failure = self.failure or error
            return len(data)


class _Diagnostics(io.FileIO):
    """stderr, unbuffered: where nothing can be said, nothing is."""

    def write(self, data):  # type: ignore[no-untyped-def]
        """Writes, if that is possible."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def guard() -> None:
    """Puts guarded streams in the place of stdout and stderr: UTF-8 whatever the locale. One that is closed swallows all."""
    sys.stdout = _text(_Output, 1, sys.stdout)
    sys.stderr = _text(_Diagnostics, 2, sys.stderr)


def failed() -> bool:
    """Whether something could not be written to stdout."""
    return _failure() is not None


def finish(program: str, status: int) -> int:
    """Lets out what is buffered; returns the exit status. A request to stop is told by that alone, and by nothing else.

    Args:
        program: Who says that a write failed.
        status: What the program would end with otherwise.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(1)
        return status
    failure = _failure()
    if failure is None:
        return status
    _silence(1)  # else the interpreter would try once more, and end in its own way
    if status == exits.STOP_REQUESTED:
        return status
    sys.stderr.write(f"{program}: the output cannot be written: {failure.strerror}\n")
    sys.stderr.flush()
    return exits.OUTPUT_FAILED


def _failure() -> OSError | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _Output) else None


def _silence(fd: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, fd)
    os.close(nothing)


def _text(kind: type[io.FileIO], fd: int, before: io.TextIOWrapper | object) -> io.TextIOWrapper:
    if before is None:  # it was closed when this process began
        return open(os.devnull, "w", encoding="utf-8")
    raw = kind(fd, "w", closefd=False)
    is_prompt = fd == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=is_prompt)

"""Log events: a name and fields, one line each, never a secret, never a stack trace for an expected fault.

Whatever a field holds, it is one clean line of bounded length: a log is read on terminals, and by programs line by line.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

from clawlog.protocol.summary import any_line

LogFormat = Literal["text", "json", "journal"]

_MAX_FIELD_CHARS = 1000
_MAX_INTEGER = 2**63

_SYSLOG_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_SELDOM_S = 10.0


class Log:
    """Writes events of one part of the daemon.

    Args:
        part: The part's name, such as ``lane``.
        fields: Fields that each of its events has.
    """

    def __init__(self, part: str, **fields: object) -> None:
        self._logger = logging.getLogger(f"clawlogd.{part}")
        self._fields = fields
        self._seldom: dict[str, tuple[float, int]] = {}

    def debug(self, event: str, **fields: object) -> None:
        """Logs a detail that helps to find a fault."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Logs something that happened as it should."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Logs something that an operator should see."""
        self._write(logging.WARNING, event, fields)

    def warning_seldom(self, event: str, **fields: object) -> None:
        """Logs something that others can make happen as often as they like: at once, then now and then, with how often."""
        now = time.monotonic()
        due, left_out = self._seldom.get(event, (0.0, 0))
        if now < due:
            self._seldom[event] = (due, left_out + 1)
            return
        self._seldom[event] = (now + _SELDOM_S, 0)
        self._write(logging.WARNING, event, {**fields, **({"times_more": left_out} if left_out else {})})

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Logs something that must not happen; with ``exc_info`` for a fault of the daemon itself."""
        self._write(logging.ERROR, event, fields, exc_info)

    def guarded(self, event: str, action: Callable[[], None]) -> None:
        """Does what must not keep the rest from being done; what it raises is logged as an error under this name."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - it concerns this action alone
            self.error(event, error=repr(error))

    def _write(self, level: int, event: str, fields: dict[str, object], exc_info: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"fields": {**self._fields, **fields}}, exc_info=exc_info)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream; leaves out a line that it does not take (its disk is full, its reader gone), without a trace."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class _Formatter(logging.Formatter):
    def __init__(self, style: LogFormat) -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {key: _clean(value) for key, value in getattr(record, "fields", {}).items()}
        message = any_line(record.getMessage(), _MAX_FIELD_CHARS)
        trace = _clean_lines(self.formatException(record.exc_info)) if record.exc_info else None
        if self._form == "json":
            when = self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}"
            entry = {"time": when, "level": record.levelname.lower(), "logger": record.name, "event": message, **fields}
            if trace:
                entry["trace"] = trace
            return json.dumps(entry, ensure_ascii=False, default=str)
        line = " ".join([message, *(f"{key}={_plain(value)}" for key, value in fields.items())])
        if trace:
            line = f"{line}\n{trace}"
        if self._form == "journal":  # the journal keeps time and name itself, and reads the level from this prefix
            return "\n".join(f"<{_SYSLOG_PRIORITY.get(record.levelno, 6)}>{each}" for each in line.split("\n"))
        return f"{self.formatTime(record)} {record.levelname:<7} {record.name} {line}"


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _MAX_INTEGER):
        return value
    return any_line(value, _MAX_FIELD_CHARS)


def _clean_lines(text: str) -> str:
    indented = ((len(line) - len(line.lstrip(" ")), line) for line in text.split("\n"))
    return "\n".join(" " * indent + any_line(line, _MAX_FIELD_CHARS) for indent, line in indented)


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c.isspace() or c in "\"'=" for c in text) else text


def configure(level: str, style: LogFormat) -> None:
    """Sends the daemon's log events to stderr."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # details of other libraries are not logged
    logging.getLogger("clawlogd").setLevel(level.upper())

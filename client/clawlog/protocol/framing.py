"""Lines out of a byte stream: one JSON value per line, ended by LF; a CR before it is ignored."""

from __future__ import annotations

from clawlog.protocol.vocabulary import MAX_LINE_BYTES


class LineReader:
    """Cuts a byte stream into lines, bounded.

    Args:
        max_line_bytes: The longest line taken. Past it ``overflowed`` is set, and the stream cannot be read on.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._partial = bytearray()
        self.overflowed = False

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes of the stream and returns the lines they complete, without line ends or empty lines."""
        if self.overflowed:
            return []
        end = data.find(b"\n")
        if end < 0:
            self._partial += data
            self.overflowed = len(self._partial) > self._max_line_bytes
            return []
        if data.startswith(b"{") and end == len(data) - 1 <= self._max_line_bytes and not self._partial:  # as it mostly is
            return [data[:-1].removesuffix(b"\r")]
        *complete, rest = (bytes(self._partial) + data if self._partial else data).split(b"\n")
        self._partial = bytearray(rest)
        lines: list[bytes] = []
        for raw in complete:
            line = raw.removesuffix(b"\r")
            if len(line) > self._max_line_bytes:
                self.overflowed = True
                return lines
            if line and not line.isspace():
                lines.append(line)
        self.overflowed = len(rest) > self._max_line_bytes
        return lines

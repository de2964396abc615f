from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawlog.protocol.framing import LineReader


def test_cuts_lines_and_passes_over_cr_and_empty_ones() -> None:
    assert LineReader().feed(b"a\r\n\n  \nb\nc") == [b"a", b"b"]


def test_keeps_what_is_not_complete() -> None:
    reader = LineReader()
    assert reader.feed(b"ab") == []
    assert reader.feed(b"c\nd") == [b"abc"]
    assert reader.feed(b"\n") == [b"d"]


def test_a_line_at_the_bound_passes_and_one_beyond_it_ends_the_reading() -> None:
    reader = LineReader(max_line_bytes=4)
    assert reader.feed(b"1234\r\n") == [b"1234"]
    assert not reader.overflowed
    assert reader.feed(b"ok\n12345\nnever\n") == [b"ok"]
    assert reader.overflowed
    assert reader.feed(b"more\n") == []


def test_a_line_without_end_is_noticed_before_it_ends() -> None:
    reader = LineReader(max_line_bytes=4)
    reader.feed(b"123")
    assert not reader.overflowed
    reader.feed(b"45")
    assert reader.overflowed


def test_the_rest_after_a_line_is_bounded_as_well() -> None:
    reader = LineReader(max_line_bytes=4)
    assert reader.feed(b"a\n12345") == [b"a"]
    assert reader.overflowed


LINES = st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line and line.strip() and line[-1:] != b"\r")


@given(st.lists(LINES), st.data())
def test_lines_survive_any_cutting_of_the_stream(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader, received, start = LineReader(), [], 0
    for end in [*sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8))), len(stream)]:
        received += reader.feed(stream[start:end])
        start = max(start, end)
    assert received == lines

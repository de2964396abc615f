from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog.protocol import summary


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n and\ttabs ", "two lines and tabs"),
        ("\x1b[1;31mred\x1b[0m alert", "red alert"),
        ("\x1b]0;a title\x07done", "done"),
        ("bell\x07 null\x00 delete\x7f", "bell null delete"),
        ("para\u2028graph", "para graph"),
        ("abc\u202egpj.exe", "abc gpj.exe"),
        ("检查本地环境 ✅", "检查本地环境 ✅"),
    ],
)
def test_becomes_one_line_without_controls(text: str, line: str) -> None:
    assert summary.one_line(text) == line


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijkl0123456789",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a" * 30,
        "glpat-" + "a" * 20,
        "xoxb-1234567890-abc",
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG",
        "Bearer abcdef123456",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY----- MIIEow",
    ],
)
def test_masks_what_looks_like_a_credential(secret: str) -> None:
    line, _ = summary.clean(f"used {secret}", max_chars=1000)
    assert line == "used [masked]"
    unmasked, _ = summary.clean(f"used {secret}", max_chars=1000, mask=False)
    assert unmasked == f"used {secret}"


@pytest.mark.parametrize("text", ["risk-free asking", "a basic test", "bearer of bad news", "task-list-for-the-weekend"])
def test_leaves_ordinary_words_alone(text: str) -> None:
    assert summary.clean(text, max_chars=200) == (text, False)


def test_a_credential_broken_by_an_escape_is_masked_all_the_same() -> None:
    line, _ = summary.clean("ghp_aaaaaaaaaaaa\x1b[0maaaaaaaaaaaaaaaaaaaaaaaa", max_chars=200)
    assert "aaaaaaaa" not in line


def test_is_cut_at_code_points_with_an_ellipsis_last() -> None:
    assert summary.clean("部" * 120, max_chars=120) == ("部" * 120, False)
    assert summary.clean("部" * 121, max_chars=120) == ("部" * 119 + "…", True)


@given(st.text(), st.integers(40, 1000))
def test_is_always_one_short_printable_line_and_stays_as_it_is_when_cleaned_again(text: str, max_chars: int) -> None:
    line, truncated = summary.clean(text, max_chars=max_chars)
    assert len(line) <= max_chars
    assert "\n" not in line
    assert "\x1b" not in line
    assert truncated == line.endswith("…") or "…" in text
    assert summary.clean(line, max_chars=max_chars)[0] == line

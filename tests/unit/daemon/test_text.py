"""Words from outside are cleaned by the rules in force."""

from __future__ import annotations

import pytest

from clawlogd.settings import Summary
from clawlogd.text import clean_summary, clean_title

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "rules", "kept"),
    [
        (None, Summary(), (None, False)),
        ("", Summary(), (None, False)),
        ("\x1b[31m\n", Summary(), (None, False)),
        ("two\nlines", Summary(), ("two lines", False)),
        ("x" * 41, Summary(max_chars=40), ("x" * 39 + "…", True)),
        (f"with {KEY}", Summary(), ("with [masked]", False)),
        (f"with {KEY}", Summary(mask_credentials=False), (f"with {KEY}", False)),
    ],
)
def test_a_summary_is_one_line_within_the_settings(text: str | None, rules: Summary, kept: tuple[str | None, bool]) -> None:
    assert clean_summary(text, rules) == kept


def test_a_title_is_one_line() -> None:
    assert clean_title("  a\ttitle\x1b[0m ") == "a title"

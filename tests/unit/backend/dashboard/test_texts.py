"""The dashboard has an icon and a text, in each of its languages, for every word that the backend can send it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import clawlog_backend
from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import StepStatus, TaskStatus
from clawlog_backend.domain.views import Filter, Liveness

DASHBOARD = Path(clawlog_backend.__file__).parent / "dashboard"
SCRIPTS = {path: path.read_text(encoding="utf-8") for path in DASHBOARD.rglob("*.js")}
TEXTS = [SCRIPTS[DASHBOARD / "texts" / name] for name in ("en.js", "zh-cn.js")]
# What a status becomes on the page alone.
SHOWN_STATUSES = ["stopping", "unfinished", "lost"]
STATUSES = sorted({*TaskStatus, *StepStatus, *SHOWN_STATUSES})
# The filters that are of more than one state.
OF_MANY = [Filter.ALL, Filter.ACTIVE, "attention"]


def languages() -> dict[str, dict[str, str]]:
    """The texts by their keys, by language."""
    found = re.findall(r"^export const (\w+) = \{\n(.*?)^\};", "\n".join(TEXTS), re.MULTILINE | re.DOTALL)
    return {name: dict(re.findall(r'^  "([\w.]+)": (.+),$', body, re.MULTILINE)) for name, body in found}


def required() -> list[str]:
    """The keys that follow from the backend's words."""
    return [
        *(f"status.{status}" for status in STATUSES),
        *(f"liveness.explain.{state}" for state in Liveness),
        *(f"event.{kind}" for kind in EventKind),
        *(f"filter.{each}" for each in OF_MANY),
    ]


@pytest.mark.parametrize("language", languages())
def test_every_word_of_the_backend_has_a_text(language: str) -> None:
    assert [key for key in required() if key not in languages()[language]] == []


def test_every_language_has_the_same_keys() -> None:
    first, *others = languages().values()
    assert others
    for other in others:
        assert first.keys() ^ other.keys() == set()


def test_every_status_has_an_icon() -> None:
    (outlines,) = re.findall(r"const OUTLINES = \{(.*?)\};", SCRIPTS[DASHBOARD / "parts" / "icons.js"], re.DOTALL)
    assert [status for status in STATUSES if not re.search(rf"^  {status}: ", outlines, re.MULTILINE)] == []


def test_no_text_is_left_unused() -> None:
    code = "\n".join(text for text in SCRIPTS.values() if text not in TEXTS)
    literal = set(re.findall(r'"([a-z]+(?:\.\w+)*)"', code))
    prefixes = tuple(f"{prefix}." for prefix in re.findall(r"`([a-z]+(?:\.[a-z]+)*)\.\$\{", code))
    keys = next(iter(languages().values()))
    assert [key for key in keys if key not in literal and not key.startswith(prefixes)] == []


def test_every_text_that_a_script_asks_for_is_there() -> None:
    asked = {key for text in SCRIPTS.values() for key in re.findall(r'\bt\("([\w.]+)"', text)}
    assert [key for key in sorted(asked) if key not in next(iter(languages().values()))] == []


def test_the_page_loads_every_style_sheet() -> None:
    loaded = re.findall(r'href="/static/style/([\w-]+\.css)"', (DASHBOARD / "index.html").read_text(encoding="utf-8"))
    assert sorted(loaded) == sorted(path.name for path in (DASHBOARD / "style").iterdir())


def test_the_page_names_every_module_so_that_none_waits_for_another_to_name_it() -> None:
    named = re.findall(r'(?:href|src)="/static/([\w/-]+\.js)"', (DASHBOARD / "index.html").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(path.relative_to(DASHBOARD).as_posix() for path in SCRIPTS)

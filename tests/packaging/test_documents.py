"""The documents are whole: links lead somewhere, the settings' table is true, and no file speaks of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clawlog.protocol import errors
from clawlog.scripting import options
from clawlogd.main import build_parser
from clawlogd.rpc.discovery import SERVED
from clawlogd.settings import AT_START, Section, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("references/**/*.md"), *ROOT.glob("benchmarks/*.md")]
)
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = []
    for target in re.findall(
        r"\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"", FENCED.sub("", document.read_text(encoding="utf-8"))
    ):
        link = "".join(target)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        file = (document.parent / path) if path else document
        if not file.exists():
            broken.append(link)
        elif fragment:
            headings = re.findall(r"^#+ (.*)$", FENCED.sub("", file.read_text(encoding="utf-8")), re.MULTILINE)
            if fragment not in {anchor(heading) for heading in headings}:
                broken.append(link)
    assert broken == []


def test_every_document_can_be_reached_from_the_first_page() -> None:
    reached, ahead = set(), [ROOT / "docs" / "index.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^):#\s]+\.md)", page.read_text(encoding="utf-8"))
        ahead += [target for link in links if (target := (page.parent / link).resolve()).exists()]
    assert [str(path) for path in sorted(ROOT.glob("docs/**/*.md")) if path not in reached] == []


def settings(kind: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[tuple[str, object]]:
    defaults = kind()
    for name in kind.__struct_fields__:
        value = getattr(defaults, name)
        if isinstance(value, Section):
            yield from settings(type(value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (none|`[^`]+`) \| (.+) \|$", text, re.MULTILINE)
    told = {
        key: None
        if default == "none"
        else ast.literal_eval({"`true`": "True", "`false`": "False"}.get(default, default.strip("`")))
        for key, default, _ in rows
    }
    assert told == dict(settings())


def test_the_settings_that_only_a_restart_changes_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").partition("## Reload")[2]
    told = re.search(r"when they have changed: ([^.]*(?:\.\w[^.]*)*)\.\s", text)
    assert told
    assert set(re.findall(r"`([\w.]+)`", told[1])) == AT_START


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    code = (ROOT / "daemon" / "clawlogd" / "host" / "metrics.py").read_text(encoding="utf-8")
    made = {
        f"clawlogd_{name}"
        for name in re.findall(r'f"{_PREFIX}(\w+)"|_(?:gauge|counter)\("(\w+)"', code)
        for name in name
        if name
    }
    text = (ROOT / "docs" / "running-as-a-service.md").read_text(encoding="utf-8").partition("## Metrics")[2]
    told = {re.sub(r"_(total|info)$", "", name) for name in re.findall(r"`(clawlogd_\w+)", text)}
    assert told == made


def test_the_command_line_document_shows_exactly_the_flags_of_the_daemon() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (synopsis,) = re.findall(r"^    clawlogd .*\n(?:     .*\n)*", text, re.MULTILINE)
    flags = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", build_parser().format_help(), re.MULTILINE))
    assert set(re.findall(r"--[a-z-]+", synopsis)) == flags - {"--help"}


def test_the_site_builds_without_a_warning_and_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 15
    foreign = re.compile(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(?:https?:)?//")
    assert [page.name for page in pages if foreign.search(page.read_text(encoding="utf-8"))] == []


def test_the_table_of_errors_is_that_of_the_protocol() -> None:
    text = (ROOT / "docs" / "wire-protocol.md").read_text(encoding="utf-8").partition("## Errors")[2]
    told = {}
    for codes, names in re.findall(r"^\| (-[-\d, ]+) \| (`[^|]+`) \|", text, re.MULTILINE):
        told |= dict(zip(map(int, codes.split(",")), re.findall(r"\w+", names), strict=True))
    assert told == dict(errors.NAMES)


def test_the_table_of_methods_is_that_of_the_dispatcher() -> None:
    text = (ROOT / "docs" / "wire-protocol.md").read_text(encoding="utf-8")
    table = text.partition("## Methods")[2].partition("## Errors")[0]
    told = {}
    for method, parameters in re.findall(r"^\| `([a-z.]+)` \|(.*?)\|", table, re.MULTILINE):
        bare = re.sub(r"\([^)]*\)", "", parameters)
        told[method] = {name: bool(star) for name, star in re.findall(r"`(\w+)`(\*?)", bare)}
    taken = {verb.name: {field.encode_name: field.required for field in msgspec.structs.fields(verb.params)} for verb in SERVED}
    assert told == taken


@pytest.mark.parametrize("script", options.SCRIPTS)
def test_the_command_line_document_shows_exactly_the_flags_of_a_script(script: str) -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (synopsis,) = re.findall(rf"^    {script}\.py .*\n(?:     .*\n)*", text, re.MULTILINE)
    assert set(re.findall(r"--[a-z-]+", synopsis)) == {option.flag for option in options.SCRIPTS[script]}


def test_every_dependency_has_its_reason_on_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    record = (ROOT / "docs" / "adr" / "0002-dependencies.md").read_text(encoding="utf-8").lower()
    declared = [re.match(r"[\w-]+", line)[0] for line in (*project["dependencies"], *project["optional-dependencies"]["dev"])]
    assert [name for name in declared if not re.search(rf"(?<![\w-]){name}(?![\w-])", record)] == []


def test_no_file_names_a_path_of_this_machine(project: Path, project_files: list[Path]) -> None:
    own = re.compile(re.escape(f"{project}/").encode() + rb"|/home/[a-z]\w*/|/Users/[A-Za-z]\w*/")
    found = [str(path.relative_to(project)) for path in project_files if own.search(path.read_bytes())]
    assert found == []


def test_no_text_installs_by_a_name_that_no_index_has(project: Path, project_files: list[Path]) -> None:
    installing = r"(?:pipx?|uv tool|uv pip|uvx) (?:install|run|upgrade)[^\n]*[ '\"=]"
    by_name = re.compile(rf"{installing}(?:clawlogd?|clawlog-status-sync)(?![\w./-])".encode())
    texts = [path for path in project_files if path.suffix in {".md", ".py", ".service", ".socket", ".sh", ".json"}]
    assert [str(path.relative_to(project)) for path in texts if by_name.search(path.read_bytes())] == []

"""The structure that CONTRIBUTING and docs/architecture.md promise: small modules, no cycles, few layers, a true module map."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from clawlogd.verbs.catalogue import VERBS

ROOT = Path(__file__).resolve().parents[2]
DAEMON = ROOT / "daemon" / "clawlogd"
PACKAGES = {"clawlog": "client", "clawlogd": "daemon", "clawlog_backend": "backend"}
MOST_LINES = 400
MOST_FUNCTION_LINES = 60
LONGEST_CHAIN = 13


def modules() -> Iterator[Path]:
    for package, folder in PACKAGES.items():
        yield from sorted((ROOT / folder / package).rglob("*.py"))


@cache
def graph(package: str) -> grimp.ImportGraph:
    return grimp.build_graph(package, cache_dir=None)


def layers(package: str) -> dict[str, set[str]]:
    """What each folder and top-level module of a package imports of the others."""

    def layer(module: str) -> str:
        return module.split(".")[1] if "." in module else ""

    found: dict[str, set[str]] = {}
    for module in graph(package).modules:
        if module == package:
            continue  # its own __init__ is above or below all
        imported = {layer(each) for each in graph(package).find_modules_directly_imported_by(module)}
        found.setdefault(layer(module), set()).update(imported - {layer(module), ""})
    return found


def test_no_module_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines for path in modules() if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_no_function_is_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    imports = {
        module: graph(package).find_modules_directly_imported_by(module) - {package} for module in graph(package).modules
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_longest_chain_of_layers_is_short(package: str) -> None:
    imports = layers(package)
    longest: dict[str, list[str]] = {}
    for layer in TopologicalSorter(imports).static_order():
        below = max((longest[each] for each in imports[layer]), key=len, default=[])
        longest[layer] = [layer, *below]
    chain = max(longest.values(), key=len)
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_module_map_is_that_of_the_tree(package: str) -> None:
    root = ROOT / PACKAGES[package] / package
    section = (
        (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition(f"`{PACKAGES[package]}/{package}/`\n")[2]
    )
    rows = re.findall(r"^\| `([\w./]+)` \| (`[^|]+`) \|", section.partition("\n#")[0], re.MULTILINE)
    mapped = {f"{folder.removeprefix('./')}{name}" for folder, names in rows for name in re.findall(r"`(\w+)`", names)}
    there = {str(path.relative_to(root).with_suffix("")) for path in root.rglob("*.py") if not path.name.startswith("__")}
    assert mapped == there


# ── Faults that must not come back ─────────────────────────────────────────────────────────────────────────────────


def strings(path: Path) -> Iterator[str]:
    """The string literals of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_no_way_in_knows_a_verb_by_its_name() -> None:
    names = {verb.name for verb in VERBS}
    known = [f"{path.name}: {text}" for path in (DAEMON / "rpc").glob("*.py") for text in strings(path) if text in names]
    assert not known


def test_only_the_ways_in_make_the_context_of_a_call() -> None:
    forged = [
        f"{path.relative_to(DAEMON)}:{node.lineno}"
        for path in DAEMON.rglob("*.py")
        if path.parent.name != "rpc"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CallContext"
    ]
    assert not forged


def test_the_lane_keeps_no_policy_among_its_io() -> None:
    tree = ast.parse((DAEMON / "delivery" / "lane.py").read_text(encoding="utf-8"))
    (lane,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Lane")
    attributes = {
        node.attr
        for node in ast.walk(lane)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    assert len(attributes) <= 18, sorted(attributes)


def test_every_folder_of_tests_is_told_of() -> None:
    told = set(re.findall(r"^\| `tests/(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_the_glossary_is_short() -> None:
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Words")[2].partition("\n## ")[0]
    assert 10 <= len(re.findall(r"^\| (?!word|---)", words, re.MULTILINE)) <= 25

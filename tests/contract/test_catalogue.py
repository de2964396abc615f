"""A verb is complete only with all its places: this names the one that was forgotten.

CONTRIBUTING.md ("Adding a verb") lists them. That the parameters in the document are those of the code is held beside the other
tables, in ``tests/packaging/test_documents.py``; that a hint explains each parameter, in ``tests/unit/daemon/rpc``.
"""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import clawlogd.verbs
from clawlog.async_client import AsyncClient
from clawlog.client import Client
from clawlog.connection import calls
from clawlogd.verbs.catalogue import VERBS
from clawlogd.verbs.verb import Verb

ROOT = Path(__file__).resolve().parents[2]
every_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


def functions_by_method() -> dict[str, str]:
    """For each verb that ``clawlog.connection.calls`` names, the function there that makes the call."""
    tree = ast.parse(inspect.getsource(calls))
    return {
        node.args[0].value: function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Call"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_verb_of_every_module_is_in_the_catalogue_once() -> None:
    modules = [import_module(f"clawlogd.verbs.{module.name}") for module in pkgutil.iter_modules(clawlogd.verbs.__path__)]
    defined = [each for module in modules for each in vars(module).values() if isinstance(each, Verb)]
    assert sorted(each.name for each in VERBS) == sorted(each.name for each in defined)
    assert len({each.name for each in VERBS}) == len(VERBS)


@every_verb
def test_the_protocols_document_has_it_in_its_table(verb: Verb[Any]) -> None:
    table = (ROOT / "docs" / "wire-protocol.md").read_text(encoding="utf-8").partition("## Methods")[2]
    assert re.search(rf"^\| `{re.escape(verb.name)}` \|", table, re.MULTILINE)


@every_verb
def test_the_conversation_that_every_listener_is_held_to_has_it(verb: Verb[Any]) -> None:
    lines = Path(__file__).with_name("conversation.txt").read_text(encoding="utf-8").splitlines()
    assert verb.name in {json.loads(line[2:])["method"] for line in lines if line.startswith("→")}


@every_verb
def test_both_clients_have_it(verb: Verb[Any]) -> None:
    name = functions_by_method()[verb.name]
    assert callable(getattr(Client, name))
    assert callable(getattr(AsyncClient, name))

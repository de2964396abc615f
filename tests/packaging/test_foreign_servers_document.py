"""``docs/foreign-servers.md``: its run is a real one, word for word, and its tables are those of the code."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clawlogd.upstream.contracts import contract, templates
from support.foreign.running import served, without_document
from support.foreign.written import IndexedServer
from support.installation import Installation, temporary_installation, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "foreign-servers.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOWN_URL = "http://localhost:8000"
SHOWN_FILE = "/etc/clawlog/server.toml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place() -> Iterator[Installation]:
    with temporary_installation() as made:
        made.env["CLAWLOG_CONFIG"] = str(made.folder / "clawlog.toml")
        (made.folder / "clawlog.toml").touch()
        made.start_daemon()
        yield made


class Reader:
    """Who follows the page: the console blocks in order, each command as it stands there."""

    def __init__(self, place: Installation) -> None:
        self.place = place
        self._ahead = blocks("console")

    def follow(self, url: str) -> None:
        """Runs the commands of the next block; they print what stands below them.

        Twice at most: now and then the daemon tries a server anew that was not known, and then says so.
        """
        block = self._ahead.pop(0)
        expected = self._as_shown(block, url)
        if self._printed(block, url) != expected:
            assert self._printed(block, url) == expected

    def _printed(self, block: str, url: str) -> str:
        printed = ""
        for command in re.findall(r"^\$ clawlog (.+)$", block, re.MULTILINE):
            ran = self.place.clawlog(*command.replace(SHOWN_URL, url).split(), cwd=self.place.folder)
            assert ran.stderr == ""
            printed += f"$ clawlog {command}\n{self._as_shown(ran.stdout, url)}"
        return printed

    def _as_shown(self, text: str, url: str) -> str:
        meant = text.replace(url, SHOWN_URL).replace(str(self.place.folder / "server.toml"), SHOWN_FILE)
        return re.sub(r"the task is [0-9a-f]{8}:", "the task is ba25090a:", meant)

    @property
    def is_through(self) -> bool:
        return not self._ahead


def test_the_run_is_a_real_one(place: Installation) -> None:
    reader = Reader(place)
    with served(IndexedServer().app) as url:
        reader.follow(url)
        reader.follow(url)
    server = IndexedServer()
    by_hand, configured = blocks("toml")
    (place.folder / "server.toml").write_text(by_hand, encoding="utf-8")
    with served(without_document(server.app)) as url:
        with place.client() as client:
            client.create_task("Deploy", ["check"], base_url=url)
            wait_until(lambda: client.show_contract(url)["state"] == "missing", "the first creation is refused")
        reader.follow(url)
        reader.follow(url)
        settings = configured.replace(SHOWN_URL, url).replace(SHOWN_FILE, str(place.folder / "server.toml"))
        (place.folder / "clawlog.toml").write_text(settings, encoding="utf-8")
        place.started[-1].send_signal(signal.SIGHUP)
        with place.client() as client:
            wait_until(lambda: client.show_contract(url)["state"] == "found", "the settings are read again")
            assert client.flush().flushed
        reader.follow(url)
    assert reader.is_through
    assert "Deploy" in [each.title for each in server.held.tasks.values()]
    assert server.held.misused == []


def members(heading: str) -> list[str]:
    """The first column of the first table below a line."""
    assert f"\n{heading}\n" in TEXT, f"docs/foreign-servers.md has no line {heading!r}"
    table = TEXT.partition(f"\n{heading}\n")[2].lstrip("\n").partition("\n\n")
    while "|" not in table[0] and table[2]:
        table = table[2].partition("\n\n")
    return re.findall(r"^\| `(\w+)` \|", table[0], re.MULTILINE)


def test_the_tables_are_those_of_the_code() -> None:
    assert members("## The members of a contract") == list(contract.Contract.__struct_fields__)
    action = list(contract.Action.__struct_fields__)
    assert members("### An action") == action
    assert members("`create` has four more:") == [each for each in contract.Create.__struct_fields__ if each not in action]
    for heading, kind in (
        ("`create.answer`:", contract.CreateAnswer),
        ("`control.answer`:", contract.ControlAnswer),
        ("`list_tasks.answer`:", contract.ListAnswer),
        ("`envelope`:", contract.Envelope),
        ("`token`:", contract.TokenHeader),
    ):
        assert members(heading) == list(kind.__struct_fields__)


def test_a_default_that_is_a_value_is_that_of_the_code() -> None:
    kinds = (contract.CreateAnswer, contract.ControlAnswer, contract.ListAnswer, contract.Envelope, contract.TokenHeader)
    defaults = {name: getattr(kind(), name) for kind in kinds for name in kind.__struct_fields__}
    told = dict(re.findall(r"^\| `(\w+)` \| `([\[\"].*?)` \|", TEXT.partition("### Where an answer")[2], re.MULTILINE))
    assert told
    for name, text in told.items():
        assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(defaults[name])), name


def test_the_table_of_named_values_is_that_of_the_code() -> None:
    told = re.findall(r"`\{([a-z_.]+)\}`", "".join(re.findall(r"^\| (`\{.*?) \|", TEXT, re.MULTILINE)))
    assert sorted(told) == sorted(templates.NAMES)

"""The token that commands send: a backend's own before that of the default backend, and none to any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlog.cli.errors import CommandError
from clawlog.cli.sources import configuration

SETTINGS = """
base_url = "http://127.0.0.1:8000"

[[backend]]
base_url = "http://localhost:9000/clawlog/"
contract = "standard"
token_file = "{folder}/own"

[[backend]]
base_url = "http://clawlog.example"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "clawlog.toml").write_text(SETTINGS.format(folder=tmp_path))
    (tmp_path / "own").write_text("own-token\n")
    return {"CLAWLOG_CONFIG": str(tmp_path / "clawlog.toml"), "CLAWLOG_TOKEN": "default-token"}


def test_each_backend_gets_its_own_token_and_no_other(env: dict[str, str]) -> None:
    settings = configuration.load(env)
    sent = {
        url: configuration.token(settings, url, env)
        for url in ("http://127.0.0.1:9000/clawlog", "http://localhost:8000", "http://clawlog.example", "http://localhost:9000")
    }
    assert list(sent.values()) == ["own-token", "default-token", None, None]


def test_a_token_that_cannot_be_read_is_said_with_where_it_is_named(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "own").unlink()
    settings = configuration.load(env)
    with pytest.raises(CommandError, match=r"own cannot be read.*; check token_file in its table \[\[backend\]\]"):
        configuration.token(settings, "http://localhost:9000/clawlog", env)
    assert configuration.token(settings, "http://127.0.0.1:8000", env) == "default-token"


@pytest.mark.parametrize("tables", ["backend = 1", "backend = [1]", "[[backend]]\nbase_url = 1", "[backend]\ntoken_file = 'x'"])
def test_what_is_no_table_is_the_daemons_to_refuse(env: dict[str, str], tables: str) -> None:
    Path(env["CLAWLOG_CONFIG"]).write_text(tables)
    assert configuration.load(env).own_token_files == ()

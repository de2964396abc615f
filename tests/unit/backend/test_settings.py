"""What the backend takes from its surroundings, and what it refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlog_backend.settings import Settings, SettingsError, default_database, is_loopback, read_token

TOKEN = "correct-horse-battery-staple"


def test_only_addresses_that_others_cannot_reach_go_without_a_token() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"):
        assert is_loopback(host), host
        Settings(database="x", host=host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        assert not is_loopback(host), host
        with pytest.raises(SettingsError, match="CLAWLOG_TOKEN_FILE"):
            Settings(database="x", host=host)
        Settings(database="x", host=host, token=TOKEN)


def test_a_token_is_shown_nowhere() -> None:
    assert TOKEN not in repr(Settings(database="x", token=TOKEN))


def test_the_token_comes_from_a_file_a_credential_or_the_environment_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "clawlog-token").write_text(TOKEN + "-credential\n")
    (tmp_path / "file").write_text(f"\n{TOKEN}-file\n")
    environ = {"CLAWLOG_TOKEN": TOKEN, "CREDENTIALS_DIRECTORY": str(tmp_path), "CLAWLOG_TOKEN_FILE": str(tmp_path / "file")}
    assert read_token(environ) == TOKEN + "-file"
    del environ["CLAWLOG_TOKEN_FILE"]
    assert read_token(environ) == TOKEN + "-credential"
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "none")
    assert read_token(environ) == TOKEN
    assert read_token({}) is None


@pytest.mark.parametrize(
    "text", ["", "short", "has spaces in the middle", "línea-con-acentos-larga", "two-lines-of-token\nsecond", "x" * 5000]
)
def test_what_cannot_be_a_token_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        read_token({"CLAWLOG_TOKEN_FILE": str(path)})
    assert not text or text not in str(error.value)
    with pytest.raises(SettingsError, match="cannot read the token"):
        read_token({"CLAWLOG_TOKEN_FILE": str(tmp_path / "none")})


def test_the_database_lies_in_the_state_directory() -> None:
    assert default_database({"CLAWLOG_STATE_DIR": "/a", "STATE_DIRECTORY": "/b"}) == Path("/a/backend.db")
    assert default_database({"STATE_DIRECTORY": "/b", "XDG_STATE_HOME": "/c"}) == Path("/b/backend.db")
    assert default_database({"XDG_STATE_HOME": "/c"}) == Path("/c/clawlog/backend.db")
    assert default_database({}) == Path.home() / ".local/state/clawlog/backend.db"

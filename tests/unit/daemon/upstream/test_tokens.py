"""Where the token is found, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlogd.settings import Backend, LiveSettings, Settings
from clawlogd.upstream.tokens import TokenSource

URL = "http://backend.test"


def source(env: dict[str, str], token_file: str | None = None) -> TokenSource:
    return TokenSource(env=env, settings=LiveSettings(Settings(token_file=token_file, base_url=f"{URL}/")))


def test_a_file_goes_before_the_credential_and_that_before_the_variable(tmp_path: Path) -> None:
    for name, token in (("setting", "s"), ("named", "n"), ("clawlog-token", "c")):
        (tmp_path / name).write_text(token)
    env = {"CLAWLOG_TOKEN": "v"}
    assert source(env).read(URL) == "v"
    env["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    assert source(env).read(URL) == "c"
    env["CLAWLOG_TOKEN_FILE"] = str(tmp_path / "named")
    assert source(env).read(URL) == "n"
    assert source(env, str(tmp_path / "setting")).read(URL) == "s"


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert source({}).read(URL) is None
    assert source({"CLAWLOG_TOKEN": " \n"}).read(URL) is None
    assert source({"CREDENTIALS_DIRECTORY": str(tmp_path), "CLAWLOG_TOKEN": "v"}).read(URL) == "v"


def test_it_is_for_its_own_backend_alone() -> None:
    for other in ("http://other.test", f"{URL}:81", f"{URL}.evil.test", f"{URL}/path", "https://backend.test"):
        assert source({"CLAWLOG_TOKEN": "v"}).read(other) is None


def test_a_backends_own_goes_before_all_others_and_to_no_other(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("own\n")
    tables = (Backend("http://127.0.0.1:9/x/"), Backend("http://localhost:9/x/", token_file=str(tmp_path / "own")))
    tokens = TokenSource(env={"CLAWLOG_TOKEN": "v"}, settings=LiveSettings(Settings(base_url=URL, backend=tables)))
    read = [tokens.read(each) for each in ("http://localhost:9/x", "http://127.0.0.1:9/x", "http://localhost:9", URL)]
    assert read == ["own", "own", None, "v"]


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    tokens = source({}, str(file))
    assert tokens.read(URL) == "old"
    file.write_text("new\n")
    assert tokens.read(URL) == "new"


@pytest.mark.parametrize("content", ["", "\n", "two words", "a\tb", "line\nbreak", "déjà"])
def test_what_cannot_be_a_header_is_refused_without_being_repeated(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"token|ascii") as refused:
        source({}, str(file)).read(URL)
    assert not content.strip() or content not in str(refused.value)


def test_a_file_that_cannot_be_read_is_an_error_and_not_no_token(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source({"CLAWLOG_TOKEN": "v"}, str(tmp_path / "nowhere")).read(URL)

from __future__ import annotations

import pytest

from clawlog import locations


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CLAWLOG_STATE_DIR": "/a", "STATE_DIRECTORY": "/b", "XDG_STATE_HOME": "/c", "HOME": "/h"}, "/a"),
        ({"STATE_DIRECTORY": "/b:/b2", "XDG_STATE_HOME": "/c", "HOME": "/h"}, "/b"),
        ({"XDG_STATE_HOME": "/c", "HOME": "/h"}, "/c/clawlog"),
        ({"HOME": "/h"}, "/h/.local/state/clawlog"),
    ],
)
def test_the_state_is_found_in_the_documented_order(env: dict[str, str], expected: str) -> None:
    assert locations.state_dir(env) == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CLAWLOG_SOCKET": "unix:/s", "CLAWLOG_STATE_DIR": "/a"}, "/s"),
        ({"CLAWLOG_SOCKET": "zmq:ipc:///z"}, "zmq:ipc:///z"),
        ({"CLAWLOG_STATE_DIR": "/a", "XDG_RUNTIME_DIR": "/r"}, "/a/run/clawlogd.sock"),
        ({"XDG_RUNTIME_DIR": "/r", "HOME": "/h"}, "/h/.local/state/clawlog/run/clawlogd.sock"),
    ],
)
def test_the_socket_is_found_in_the_documented_order(env: dict[str, str], expected: str) -> None:
    assert locations.socket_address(env) == expected


def test_a_system_socket_is_used_only_where_it_is_ours(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "SYSTEM_SOCKET_DIR", str(tmp_path))
    assert locations.socket_address({"HOME": "/h"}) == "/h/.local/state/clawlog/run/clawlogd.sock"
    (tmp_path / locations.SOCKET_NAME).touch()
    assert locations.socket_address({"HOME": "/h"}) == str(tmp_path / locations.SOCKET_NAME)


def test_without_home_the_account_says_where_it_is() -> None:
    assert locations.home({}).startswith("/")

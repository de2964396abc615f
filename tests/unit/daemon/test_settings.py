"""Where settings come from, which of them win, and what is said of one that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlogd.configuration import flatten, load, replace
from clawlogd.settings import AT_START, Settings, SettingsError


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_with_nothing_given_the_defaults_hold(env: dict[str, str]) -> None:
    loaded = load({}, env)
    assert loaded.settings == Settings()
    assert (loaded.origins, loaded.path) == ({}, None)


def test_flags_win_over_the_environment_the_environment_over_the_file_the_file_over_defaults(
    env: dict[str, str], tmp_path: Path
) -> None:
    file = write(
        tmp_path / "config" / "clawlog" / "clawlog.toml",
        'base_url = "http://file:1"\nlog_level = "debug"\nlog_format = "json"\n[poll]\ninterval_s = 7\n',
    )
    env |= {"CLAWLOG_BASE_URL": "http://environment:1", "CLAWLOG_LOG_LEVEL": "warning", "CLAWLOG_RETRY_MAX_DELAY_S": "9"}
    loaded = load({"base_url": "http://flag:1", "zmq": None}, env)
    chosen = loaded.settings
    assert (chosen.base_url, chosen.log_level, chosen.log_format) == ("http://flag:1", "warning", "json")
    assert (chosen.poll.interval_s, chosen.poll.wait_s, chosen.retry.max_delay_s) == (7.0, Settings().poll.wait_s, 9.0)
    assert loaded.path == file
    assert loaded.origins == {
        "base_url": "flag",
        "log_level": "environment CLAWLOG_LOG_LEVEL",
        "log_format": str(file),
        "poll.interval_s": str(file),
        "retry.max_delay_s": "environment CLAWLOG_RETRY_MAX_DELAY_S",
    }


def test_a_named_file_goes_before_the_usual_places(env: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "config" / "clawlog" / "clawlog.toml", 'base_url = "http://usual:1"\n')
    named = write(tmp_path / "named.toml", 'base_url = "http://named:1"\n')
    flagged = write(tmp_path / "flagged.toml", 'base_url = "http://flagged:1"\n')
    assert load({}, env).settings.base_url == "http://usual:1"
    env["CLAWLOG_CONFIG"] = str(named)
    assert load({}, env).settings.base_url == "http://named:1"
    assert load({}, env, flagged).settings.base_url == "http://flagged:1"


def test_the_file_of_the_home_folder_is_found_without_xdg(tmp_path: Path) -> None:
    file = write(tmp_path / ".config" / "clawlog" / "clawlog.toml", "")
    assert load({}, {"HOME": str(tmp_path)}).path == file


def test_every_setting_can_be_given_in_the_environment(env: dict[str, str]) -> None:
    texts = {bool: "false", int: "70000", float: "55", str: "text"}
    given = {}
    for key, value in flatten(Settings()):
        if key == "backend":
            continue  # tables, of the file alone
        name = "CLAWLOG_" + key.replace(".", "_").upper()
        given[name] = texts.get(type(value), "ipc:///x")
    given |= {
        "CLAWLOG_BASE_URL": "http://x",
        "CLAWLOG_LOG_LEVEL": "error",
        "CLAWLOG_LOOP": "asyncio",
        "CLAWLOG_LOG_FORMAT": "journal",
        "CLAWLOG_BATCH_MAX_EVENTS": "77",
        "CLAWLOG_SUMMARY_MAX_CHARS": "77",
        "CLAWLOG_HTTP_MAX_PARALLEL": "7",
        "CLAWLOG_METRICS": "127.0.0.1:9",
        "CLAWLOG_RETRY_QUICK_DELAYS_S": "0.5, 1",
        "CLAWLOG_LISTEN_ZMQ_CLIENT_KEYS": f"{'a' * 40},{'b' * 40}",
    }
    loaded = load({}, env | given)
    assert loaded.settings.retry.quick_delays_s == (0.5, 1.0)
    assert loaded.settings.listen.zmq_client_keys == ("a" * 40, "b" * 40)
    assert set(loaded.origins.values()) == {f"environment {name}" for name in given}
    assert loaded.settings.summary.mask_credentials is False


def test_the_tables_of_single_backends_cannot_come_from_the_environment(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^environment CLAWLOG_BACKEND: backend: .*\[\[backend\]\] in clawlog.toml"):
        load({}, env | {"CLAWLOG_BACKEND": "http://127.0.0.1:1"})


def test_a_zeromq_socket_of_the_clients_is_the_daemons_endpoint(env: dict[str, str]) -> None:
    loaded = load({}, env | {"CLAWLOG_SOCKET": "zmq:ipc:///run/x.zmq"})
    assert (loaded.settings.zmq, loaded.settings.socket) == ("ipc:///run/x.zmq", None)
    assert load({}, env | {"CLAWLOG_SOCKET": "unix:/run/x.sock"}).settings.socket == "unix:/run/x.sock"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("speed = 1\n", "speed: no such key; expected one of base_url, "),
        ("[poll]\nspeed = 1\n", "poll.speed: no such key; expected one of interval_s, "),
        ("poll = 3\n", "poll: expected `object`, got `int`"),
        ("[retry]\nmax_delay_s = 0\n", "retry.max_delay_s: expected `float` >= 1"),
        ("[retry]\nquick_delays_s = [0.1, 0]\n", "retry.quick_delays_s: expected `float` > 0"),
        ("[batch]\nmax_events = 1001\n", "batch.max_events: expected `int` <= 1000"),
        ("[batch]\nmax_events = 1.5\n", "batch.max_events: expected `int`"),
        ("[heartbeat]\ninterval_s = nan\n", "heartbeat.interval_s: expected `float` "),
        ("[heartbeat]\ninterval_s = inf\n", "heartbeat.interval_s: expected `float` <= 600"),
        ('log_level = "info\\n"\n', "log_level: expected `str` matching"),
        ('base_url = "file:///etc"\n', "base_url: 'file:///etc' is not an http:// or https:// address"),
    ],
)
def test_a_bad_file_names_itself_the_key_and_what_would_be_accepted(
    env: dict[str, str], tmp_path: Path, content: str, said: str
) -> None:
    file = write(tmp_path / "bad.toml", content)
    with pytest.raises(SettingsError) as refused:
        load({}, env, file)
    assert str(refused.value).startswith(f"{file}: {said}")


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        ({"idle_exit_s": -1.0}, {}, "flag: idle_exit_s: expected `float` >= 0"),
        (
            {},
            {"CLAWLOG_OUTBOX_MAX_BYTES": "12"},
            "environment CLAWLOG_OUTBOX_MAX_BYTES: outbox.max_bytes: expected `int` >= 1024",
        ),
        ({}, {"CLAWLOG_POLL_WAIT_S": "long"}, "environment CLAWLOG_POLL_WAIT_S: poll.wait_s: expected `float`"),
        ({"zmq": "pgm://x"}, {}, "flag: zmq: 'pgm://x': expected ipc:///absolute/path or tcp://address:port"),
        ({"zmq": "ipc://relative"}, {}, "flag: zmq: 'ipc://relative': expected ipc:///absolute/path"),
        ({"zmq": "tcp://0.0.0.0:1"}, {}, "flag: zmq: tcp://0.0.0.0:1 is reachable by others"),
        ({"metrics": "0.0.0.0:9464"}, {}, "flag: metrics: 0.0.0.0:9464 can be reached by others"),
        ({}, {"CLAWLOG_BASE_URL": "x"}, "environment CLAWLOG_BASE_URL: base_url: 'x' is not"),
    ],
)
def test_a_bad_flag_or_variable_is_named(
    env: dict[str, str], flags: dict[str, Any], variables: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(flags, env | variables)
    assert str(refused.value).startswith(said)


def test_zeromq_over_tcp_is_taken_with_keys_wherever_they_stand(env: dict[str, str], tmp_path: Path) -> None:
    file = write(tmp_path / "tcp.toml", 'zmq = "tcp://0.0.0.0:1"\n[listen]\nzmq_client_keys = ["k"]\n')
    env["CLAWLOG_LISTEN_ZMQ_SERVER_KEY_FILE"] = "/secret"
    assert load({}, env, file).settings.zmq == "tcp://0.0.0.0:1"


def test_settings_that_count_at_the_start_alone_are_settings() -> None:
    assert {key for key, _ in flatten(Settings())} >= AT_START


def test_some_can_be_replaced_by_their_dotted_keys() -> None:
    changed = replace(Settings(), {"poll.wait_s": 3.0, "base_url": "http://x"})
    expected = msgspec.structs.replace(
        Settings(), base_url="http://x", poll=msgspec.structs.replace(Settings().poll, wait_s=3.0)
    )
    assert changed == expected


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://x\x1b[2J", "http://a b", "http://caf\udce9", "ftp://x", "x"])
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        load({"base_url": url}, {})

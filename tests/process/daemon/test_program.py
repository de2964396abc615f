"""The command line of ``clawlogd``: what it says, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawlogd import __version__
from support.daemon_process import environment, run_to_end


async def test_help_shows_every_flag_examples_and_exit_statuses(folder: Path) -> None:
    status, out, err = await run_to_end(folder, "--help")
    assert (status, err) == (0, "")
    flags = ["--config", "--socket", "--zmq", "--state-dir", "--base-url", "--log-level", "--log-format", "--idle-exit"]
    for text in (*flags, "--check-config", "--version", "examples:", "exit statuses:", "69"):
        assert text in out


async def test_version_says_what_the_package_says(folder: Path) -> None:
    assert await run_to_end(folder, "--version") == (0, f"clawlogd {__version__}\n", "")


async def test_an_unknown_flag_is_a_usage_error(folder: Path) -> None:
    status, out, err = await run_to_end(folder, "--bose-url", "http://localhost:1")
    assert (status, out) == (2, "")
    assert "--bose-url" in err


async def test_a_checked_configuration_shows_each_value_and_where_it_came_from(folder: Path) -> None:
    file = folder / "my.toml"
    file.write_text('base_url = "http://localhost:9000"\n[heartbeat]\ninterval_s = 12\n', encoding="utf-8")
    env = environment(folder, CLAWLOG_SUMMARY_MAX_CHARS="80")
    status, out, err = await run_to_end(folder, "--config", str(file), "--log-level", "debug", "--check-config", env=env)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"settings are good for clawlogd {__version__} ({file})"
    for line in (
        f"  base_url = 'http://localhost:9000'  ({file})",
        f"  heartbeat.interval_s = 12.0  ({file})",
        "  summary.max_chars = 80  (environment CLAWLOG_SUMMARY_MAX_CHARS)",
        "  log_level = 'debug'  (flag)",
        "  heartbeat.jitter_s = 2.0  (default)",
    ):
        assert line in lines
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("intervall_s = 12\n", "intervall_s: no such key; expected one of base_url, "),
        ("[heartbeat]\nintervall_s = 12\n", "heartbeat.intervall_s: no such key; expected one of interval_s, jitter_s"),
        ("[heartbeat]\ninterval_s = 0.2\n", "heartbeat.interval_s: expected `float` >= 1"),
        ('[heartbeat]\ninterval_s = "soon"\n', "heartbeat.interval_s: expected `float`"),
        ('base_url = "localhost:8000"\n', "base_url: 'localhost:8000' is not an http:// or https:// address"),
        ('zmq = "inproc://x"\n', "zmq: 'inproc://x'"),
        ("[heartbeat\n", "not TOML"),
        ("\xff", "not TOML"),
    ],
)
async def test_a_setting_that_cannot_be_is_named_with_its_file_and_what_would_be_accepted(
    folder: Path, content: str, message: str
) -> None:
    file = folder / "my.toml"
    file.write_bytes(content.encode("latin-1"))
    for flags in (("--check-config",), ()):
        status, out, err = await run_to_end(folder, "--config", str(file), *flags)
        assert (status, out) == (2, "")
        assert err.startswith(f"clawlogd: {file}: {message}")
        assert err.count("\n") == 1
    assert not (folder / "state").exists()


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        (("--config", "/nowhere/x.toml"), {}, "/nowhere/x.toml: cannot be read: No such file or directory"),
        (("--log-level", "loud"), {}, "flag: log_level: "),
        (("--idle-exit", "-1"), {}, "flag: idle_exit_s: expected `float` >= 0"),
        (("--base-url", "ftp://x"), {}, "flag: base_url: 'ftp://x' is not"),
        (("--zmq", "tcp://127.0.0.1:0"), {}, "flag: zmq: tcp://127.0.0.1:0 is reachable by others"),
        ((), {"CLAWLOG_HEARTBEAT_LEASE_S": "1"}, "environment CLAWLOG_HEARTBEAT_LEASE_S: heartbeat.lease_s: "),
        ((), {"CLAWLOG_CONFIG": "/nowhere/x.toml"}, "/nowhere/x.toml: cannot be read"),
    ],
)
async def test_a_flag_or_a_variable_that_cannot_be_is_named(
    folder: Path, flags: tuple[str, ...], env: dict[str, str], message: str
) -> None:
    status, out, err = await run_to_end(folder, *flags, env=environment(folder, **env))
    assert (status, out) == (2, "")
    assert err.startswith(f"clawlogd: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[listen]\ngroup = "no-such-group"\n', "listen.group: "),
        (
            'zmq = "tcp://127.0.0.1:0"\n[listen]\nzmq_server_key_file = "KEY"\nzmq_client_keys = ["k"]\n',
            "listen.zmq_server_key_file: KEY: no CURVE secret key: ",
        ),
    ],
)
async def test_a_setting_that_shows_itself_wrong_when_it_is_used_ends_the_start_in_one_line(
    folder: Path, content: str, message: str
) -> None:
    key = folder / "key"
    key.write_text("not a key")
    config = folder / "my.toml"
    config.write_text(content.replace("KEY", str(key)))
    status, out, err = await run_to_end(folder, "--config", str(config))
    assert (status, out) == (2, "")
    assert err.startswith(f"clawlogd: {message.replace('KEY', str(key))}")
    assert err.count("\n") == 1
    assert not (folder / "state" / "run" / "clawlogd.sock").exists()

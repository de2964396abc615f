"""The section of the settings that says who is told what: what it may say, and that no error repeats a secret."""

from __future__ import annotations

import base64
import logging
import sys
from io import StringIO
from pathlib import Path

import pytest

from clawlog_backend.notify import services
from clawlog_backend.notify.configuration import read_rules
from clawlog_backend.notify.rules import NotifiedEvent, Rules, Service
from clawlog_backend.settings import SettingsError, read_settings_file, settings_file

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOOK = "https://hooks.example.com/very-secret-part"
OPS = f"""
[[notifications.target]]
name = "ops"
webhook = "{HOOK}"
secret = "{SECRET}"
"""
TARGET = "[[notifications.target]]\n"
RULE = """
[[notifications.rule]]
name = "trouble"
events = ["failed"]
to = ["ops"]
"""


def read(folder: Path, text: str, **environ: str) -> Rules:
    file = folder / "backend.toml"
    file.write_text(text, encoding="utf-8")
    return read_rules(read_settings_file(file).get("notifications", {}), file=file, environ=environ)


def test_everything_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "hook.url").write_text(HOOK + "\n", encoding="utf-8")
    (tmp_path / "keys").write_text(f"{SECRET}\n{SECRET}\n", encoding="utf-8")
    text = """
    [notifications]
    page = "https://clawlog.example.com/"
    [[notifications.target]]
    name = "ops"
    webhook_file = "hook.url"
    secret_file = "keys"
    [[notifications.target]]
    name = "phone"
    apprise_env = "PHONE"
    [[notifications.rule]]
    name = "trouble"
    events = ["needs_you", "stop_unanswered"]
    to = ["ops", "phone"]
    projects = ["payments-*"]
    hosts = ["db-01"]
    agents = ["codex"]
    stop_unanswered_after = "10m"
    quiet = "22:00-07:00"
    quiet_zone = "UTC"
    in_quiet = "drop"
    gather = "30s"
    digest_over = 1
    """
    rules = read(tmp_path, text, PHONE="json://127.0.0.1/token-of-mine")
    assert rules.page == "https://clawlog.example.com"
    ops, phone = rules.targets["ops"], rules.targets["phone"]
    assert (ops.service, ops.address, ops.keys) == (Service.WEBHOOK, HOOK, (KEY, KEY))
    assert (phone.service, phone.address) == (Service.APPRISE, "json://127.0.0.1/token-of-mine")
    rule = rules.rules["trouble"]
    assert rule.events == {NotifiedEvent.NEEDS_YOU, NotifiedEvent.STOP_UNANSWERED}
    assert (rule.unanswered_ms, rule.gather_ms, rule.digest_over, rule.drops_in_quiet) == (600_000, 30_000, 1, True)
    assert rule.quiet is not None
    shown = repr(rules)
    assert not any(secret in shown for secret in (HOOK, "token-of-mine", repr(KEY), SECRET))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OPS + RULE + "quite = 1", "rule.0.quite: there is no such setting"),
        (OPS + RULE.replace("failed", "lost"), "rule.0.events: expected some of dead, done"),
        (OPS + RULE.replace('["ops"]', '["opps"]'), "rule.0.to: no target is named 'opps': expected one of ops"),
        (OPS + RULE + RULE, "rule.1.name: another rule is named 'trouble'"),
        (OPS + RULE + 'quiet = "22-7"', "rule.0.quiet: expected two different times of day, such as 22:00-07:00"),
        (OPS + RULE + 'quiet = "22:00-07:00"\nquiet_zone = "Nowhere"', "rule.0.quiet: no such time zone"),
        (OPS + RULE + 'gather = "5"', "rule.0.gather: expected a time of up to 24 hours, such as 30s, 5m or 2h"),
        (OPS + RULE + 'gather = "25h"', "rule.0.gather: expected a time"),
        (OPS + RULE + "digest_over = 0", "rule.0.digest_over"),
        (RULE, "rule.0.to: no target is named 'ops': expected one of none"),
        (OPS + 'secret_file = "x"', "target.0.secret: expected one of secret, secret_file and secret_env"),
        (OPS.replace("secret =", "secret_file ="), "target.0.secret_file: cannot read"),
        (OPS.replace("secret =", "secret_env ="), "target.0.secret_env: the environment has no"),
        (OPS.replace("whsec_", "whsec-"), "target.0.secret: expected whsec_ and 24 to 64 bytes in base64"),
        (OPS.replace("webhook =", "apprise ="), "target.0.secret: only a webhook is signed"),
        (OPS + 'apprise = "json://x"', "target.0: expected a webhook or an apprise, and not both"),
        (OPS.replace("https", "ftp"), "target.0.webhook: expected an address that begins with http"),
        (OPS.replace(f'secret = "{SECRET}"', ""), "target.0.secret: expected what it is signed with; make one with: python3"),
        (TARGET + 'name = "x"\napprise = "nosuch://very-secret-part"', "target.0.apprise: Apprise does not know"),
        (TARGET + 'name = "a b"\nwebhook = "very-secret-part"', "target.0.name"),
        ('[notifications]\npage = "clawlog"', "page: expected an address"),
        ("[notification]", "there is no section 'notification': expected one of notifications"),
        ("notifications = very-secret-part", "is not TOML"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_no_secret_repeated(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "backend.toml"))
    if "cannot read" not in said and "has no" not in said:  # a path and a variable's name are what a person has to see
        assert not any(secret in str(caught.value) for secret in ("very-secret-part", SECRET.removeprefix("whsec_")))


def test_without_apprise_a_webhook_is_fine_and_a_service_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert read(tmp_path, OPS + RULE).targets.keys() == {"ops"}
    with pytest.raises(SettingsError, match=r"not installed beside clawlog: python -m pip install 'apprise>=1\.9'"):
        read(tmp_path, '[[notifications.target]]\nname = "phone"\napprise = "mailto://mu@example.com"')


def test_apprise_says_nothing_of_an_address_in_the_log() -> None:
    said = StringIO()
    everything = logging.StreamHandler(said)  # not pytest's own, which also looks where a program's log does not
    logging.getLogger().addHandler(everything)
    try:
        with pytest.raises(services.ServiceError) as caught:
            services.check("slack://very-secret-part")
        logging.getLogger("clawlog_backend").error("heard")
    finally:
        logging.getLogger().removeHandler(everything)
    assert (said.getvalue(), "very-secret-part" in str(caught.value)) == ("heard\n", False)


def test_the_file_is_the_one_that_is_named_else_the_usual_one_that_is_there(tmp_path: Path) -> None:
    own = tmp_path / "clawlog" / "backend.toml"
    assert settings_file(None, {"XDG_CONFIG_HOME": str(tmp_path)}) in {None, Path("/etc/clawlog/backend.toml")}
    own.parent.mkdir()
    own.write_text("", encoding="utf-8")
    assert settings_file(None, {"XDG_CONFIG_HOME": str(tmp_path)}) == own
    assert settings_file(None, {"CLAWLOG_BACKEND_CONFIG": "/a/b.toml", "XDG_CONFIG_HOME": str(tmp_path)}) == Path("/a/b.toml")
    assert settings_file("/c.toml", {"CLAWLOG_BACKEND_CONFIG": "/a/b.toml"}) == Path("/c.toml")
    assert read_settings_file(None) == read_settings_file(own) == {}
    with pytest.raises(SettingsError, match="cannot read the settings"):
        read_settings_file(tmp_path / "none.toml")
